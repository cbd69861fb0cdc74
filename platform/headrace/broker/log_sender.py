"""Sending to the event log for whoever must not wait: each batch is acknowledged, or fails in time.

A batch is sent by a thread and belongs to nobody else: its future is done when the broker has
acknowledged each of its own messages. What is not acknowledged by its deadline fails then, whatever
the client library does: the producer is given up and replaced by a new one, again and again until
one reaches the topic. Meanwhile nothing is taken.

kafka-python 3.0.12 does not come back by itself from a broker that stays silent for longer than
`delivery_timeout_ms`: a batch that expires while it is retried makes an idempotent producer ask
for a new id, and as long as that request is open nothing is sent and nothing expires. So this one
is not idempotent, keeps the order by one request at a time, and is not trusted with deadlines. A
message may be in the log twice; events have ids, and the stream counts each once.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Final, NamedTuple

from kafka import KafkaProducer
from kafka.errors import KafkaError

from headrace.broker.reader import MAX_RECONNECT_MS
from headrace.broker.waiting_client import WaitingClient
from headrace.broker.writer import ABOUT_THE_MESSAGE
from headrace.config import Settings
from headrace.errors import LogUnavailable

TICK_S: Final = 0.05  # how exactly deadlines are kept
CONNECT_MS: Final = 2_000  # a producer that has not found the topic by then is given up
PAUSE_S: Final = 0.3  # before the next one is tried
MAX_WAITING_BYTES: Final = 64_000_000

log = logging.getLogger(__name__)


class Message(NamedTuple):
    """A message to the log; the key chooses the partition unless `partition` does. `arrival_ms` is
    None for now; without a value it is a tombstone."""

    key: bytes
    value: bytes | None
    arrival_ms: int | None = None
    partition: int | None = None


class _Batch:
    """Messages that are acknowledged together. Kafka's threads and ours tell it how it goes."""

    def __init__(self, messages: Sequence[Message], due_s: float) -> None:
        self.messages, self.due_s = messages, due_s
        self.num_bytes = sum(len(message.value or b"") for message in messages)
        self.done: Future[None] = Future()
        self.done.set_running_or_notify_cancel()  # a caller that gives up changes nothing here
        self.error: BaseException | None = None
        self._lock = threading.Lock()
        self._left = len(messages)

    def acknowledge(self, _: object) -> None:
        """One of the messages is in the log."""
        with self._lock:
            self._left -= 1
            is_last = not self._left and not self.done.done()
        if is_last:
            self.done.set_result(None)

    def fail(self, error: BaseException) -> None:
        """One of them is not known to be; the first reason counts."""
        with self._lock:
            if self.done.done() or self.error:
                return
            self.error = error
        told = f"the broker did not take it: {error or type(error).__name__}"
        self.done.set_exception(LogUnavailable(told))

    @property
    def shows_an_outage(self) -> bool:
        """Whether the batch failed by more than the broker's rejection of one of its messages."""
        return self.error is not None and not isinstance(self.error, ABOUT_THE_MESSAGE)


class LogSender:
    """Sends batches to one topic. Threads may share it; `submit` never waits.

    `is_away` is True from the first batch that was not acknowledged, or while no producer reaches
    the topic, until one does.
    """

    def __init__(
        self, settings: Settings, topic: str, deadline_s: float, max_waiting: int = 10_000
    ) -> None:
        self.is_away, self.last_error = False, ""
        self._settings, self._topic = settings, topic
        self._deadline_s, self._max_waiting = deadline_s, max_waiting
        self._queue: queue.Queue[_Batch] = queue.Queue()
        self._sent: deque[_Batch] = deque()  # of this producer, by deadline
        self._lock = threading.Lock()
        self._num_waiting = self._num_bytes = 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-sender", daemon=True)
        self._thread.start()

    @property
    def num_waiting(self) -> int:
        """Messages that are neither acknowledged nor failed yet."""
        return self._num_waiting

    def submit(self, messages: Sequence[Message]) -> Future[None]:
        """A future that is done when the log has all of these messages.

        It fails with `LogUnavailable` at the deadline, or before; some may be in the log then.
        Raises `LogUnavailable`, and nothing is sent, while the broker is away or too many wait.
        """
        batch = _Batch(messages, time.monotonic() + self._deadline_s)
        if self.is_away or self._closing.is_set():
            raise LogUnavailable(f"the broker takes no messages now ({self.last_error})")
        with self._lock:
            if self._num_waiting + len(messages) > self._max_waiting or (
                self._num_bytes + batch.num_bytes > MAX_WAITING_BYTES
            ):
                raise LogUnavailable(
                    f"{self._num_waiting} messages wait for the broker, at most "
                    f"{self._max_waiting} may"
                )
            self._num_waiting += len(messages)
            self._num_bytes += batch.num_bytes
        batch.done.add_done_callback(lambda _: self._forget(batch))
        self._queue.put(batch)
        return batch.done

    def close(self) -> None:
        """Wait for the submitted batches, up to their deadline, and leave the broker."""
        self._closing.set()
        self._thread.join(self._deadline_s + CONNECT_MS / 1_000 + 1)

    def _forget(self, batch: _Batch) -> None:
        with self._lock:
            self._num_waiting -= len(batch.messages)
            self._num_bytes -= batch.num_bytes

    def _run(self) -> None:
        while not self._closing.is_set():
            producer = None
            try:
                producer = _connected(self._settings, self._topic, self._deadline_s)
                self.is_away, self.last_error = False, ""
                self._send_while_well(producer)
            except Exception as error:  # whatever a client makes of a broker that is half there
                self._say(error)
            finally:
                _abandon(producer)
                self._fail_all()
            self._closing.wait(PAUSE_S)

    def _send_while_well(self, producer: Any) -> None:
        """Send batches as they come, until one shows that the producer or its broker is unwell."""
        while not (self._closing.is_set() and not self._sent and self._queue.empty()):
            try:
                batch = self._queue.get(timeout=TICK_S if self._sent else 10 * TICK_S)
            except queue.Empty:
                pass
            else:
                self._sent.append(batch)
                for message in batch.messages:
                    self._hand_over(producer, batch, message)
            self._settle(time.monotonic())

    def _hand_over(self, producer: Any, batch: _Batch, message: Message) -> None:
        try:
            key, value, arrival_ms, partition = message
            given = {"key": key, "timestamp_ms": arrival_ms, "partition": partition}
            future = producer.send(self._topic, value, **given)
        except ABOUT_THE_MESSAGE as error:
            batch.fail(error)
        else:
            future.add_callback(batch.acknowledge)
            future.add_errback(batch.fail)

    def _settle(self, now_s: float) -> None:
        """Forget the completed batches; raises where one shows an outage or missed its deadline."""
        while self._sent and (self._sent[0].done.done() or self._sent[0].due_s <= now_s):
            batch = self._sent.popleft()
            batch.fail(TimeoutError(f"no acknowledgement within {self._deadline_s:g} s"))
            if batch.shows_an_outage:
                raise batch.error or LogUnavailable("")

    def _fail_all(self) -> None:
        """Fail every batch that waits, as none is known to be sent: whoever waits is told now."""
        reason = ConnectionError(self.last_error or "the platform is ending")
        while self._sent:
            self._sent.popleft().fail(reason)
        while True:
            try:
                self._queue.get_nowait().fail(reason)
            except queue.Empty:
                return

    def _say(self, error: Exception) -> None:
        was_away, self.is_away = self.is_away, True
        self.last_error = self._settings.kafka.masked_error(f"{type(error).__name__}: {error}")
        if not was_away:
            log.warning("no messages for %s are taken: %s", self._topic, self.last_error)


def _connected(settings: Settings, topic: str, deadline_s: float) -> Any:
    """A producer that has found the topic; raises kafka-python's error where it does not."""
    deadline_ms = int(deadline_s * 1_000)
    connect_ms = min(CONNECT_MS, deadline_ms)
    producer = KafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap,
        acks="all",
        enable_idempotence=False,
        max_in_flight_requests_per_connection=1,
        allow_auto_create_topics=False,
        linger_ms=0,
        reconnect_backoff_max_ms=MAX_RECONNECT_MS,
        bootstrap_timeout_ms=connect_ms,
        max_block_ms=connect_ms,
        delivery_timeout_ms=deadline_ms,
        request_timeout_ms=deadline_ms,
        metrics_enabled=False,
        kafka_client=WaitingClient,
        **settings.kafka.client_options(),
    )
    try:
        if not producer.partitions_for(topic):
            raise KafkaError(f"there is no topic {topic}")
    except BaseException:
        _abandon(producer)
        raise
    return producer


def _abandon(producer: Any) -> None:
    """Force a producer to close, without the acknowledgements that may never come."""
    if producer is None:
        return
    producer._sender.force_close()
    _quietly(lambda: producer.close(timeout=0))  # raises where something was not acknowledged


def _quietly(end: Callable[[], None]) -> None:
    try:
        end()
    except Exception as error:
        log.debug("a producer that was given up: %s", error)
