"""A writer to the event log: each message acknowledged, or a failure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from kafka import KafkaProducer
from kafka.errors import (
    InvalidRecordError,
    InvalidTimestampError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    RecordListTooLargeError,
)

from headrace.broker.reader import MAX_RECONNECT_MS
from headrace.broker.waiting_client import WaitingClient
from headrace.config import Settings
from headrace.errors import ServiceError

ABOUT_THE_MESSAGE = (
    *(MessageSizeTooLargeError, RecordListTooLargeError, InvalidRecordError),
    *(InvalidTimestampError, PolicyViolationError),
)  # what a broker has against one message, and not against all
Headers = Sequence[tuple[str, bytes]]
BATCH_BYTES: Final = 1 << 16  # of the client's 16 kB its thread is woken for every few rows


class LogWriter:
    """Writes messages; `flush` returns when the broker has all of them, or raises."""

    def __init__(self, settings: Settings, timeout_ms: int = 120_000) -> None:
        self._producer = KafkaProducer(
            bootstrap_servers=settings.kafka_bootstrap,
            acks="all",
            allow_auto_create_topics=False,
            kafka_client=WaitingClient,
            linger_ms=5,
            batch_size=BATCH_BYTES,
            reconnect_backoff_max_ms=MAX_RECONNECT_MS,
            delivery_timeout_ms=timeout_ms,
            request_timeout_ms=min(timeout_ms - 10, 30_000),
            max_block_ms=timeout_ms,
            **settings.kafka.client_options(),
        )
        self._failures: list[BaseException] = []

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        partition: int | None = None,
        headers: Headers = (),
        arrival_ms: int | None = None,
    ) -> None:
        """Queue one message; the key chooses the partition unless `partition` does.

        `arrival_ms` is now, unless the message passes on what arrived earlier.
        """
        given = {"headers": list(headers), "timestamp_ms": arrival_ms}
        future = self._producer.send(topic, value=value, key=key, partition=partition, **given)
        future.add_errback(self._failures.append)

    def offer(
        self, topic: str, value: bytes, headers: Headers, refused: Callable[[str], None]
    ) -> None:
        """Queue a message that may be left out: where the broker rejects the message itself, above
        all as too large, that is told to `refused` before `flush` returns, and is no failure."""

        def failed(error: BaseException) -> None:
            if isinstance(error, ABOUT_THE_MESSAGE):
                refused(f"{type(error).__name__}: {error}")
            else:
                self._failures.append(error)

        try:
            future = self._producer.send(topic, value=value, headers=list(headers))
        except ABOUT_THE_MESSAGE as error:
            failed(error)
        else:
            future.add_errback(failed)

    def flush(self) -> None:
        """Wait for all queued messages; raises `ServiceError` if any was not acknowledged."""
        self._producer.flush()
        if self._failures:
            first = self._failures[0]
            self._failures.clear()
            raise ServiceError(f"the broker did not take a message: {first}") from first

    def take_failures(self) -> int:
        """How many messages were not acknowledged since this or `flush` last said so."""
        num_failures = len(self._failures)
        self._failures.clear()
        return num_failures

    def close(self) -> None:
        self._producer.close()
