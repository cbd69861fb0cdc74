"""A producer with messages to send, beside a broker that does not answer, uses no processor."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic
from kafka.errors import KafkaError

from headrace.broker.waiting_client import LONGEST_WAIT_MS, WaitingClient
from headrace.services.kafka import start_broker

pytestmark = pytest.mark.services

SILENT_S = 0.6


class Counting(WaitingClient):  # type: ignore[misc]
    """Counts how often the producer asks the network."""

    num_polls = 0

    def poll(self, *args: Any, **kwargs: Any) -> None:
        Counting.num_polls += 1
        super().poll(*args, **kwargs)


def test_a_silent_broker_is_asked_a_few_times_a_second(
    tmp_path: Path, tansu_environ: dict[str, str]
) -> None:
    with start_broker(tmp_path, tansu_environ) as broker:
        admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
        admin.create_topics([NewTopic("events", 2, 1)])
        admin.close()
        producer = KafkaProducer(
            bootstrap_servers=broker.bootstrap,
            max_in_flight_requests_per_connection=1,
            kafka_client=Counting,
        )
        producer.send("events", b"acknowledged", partition=0).get(10)
        os.kill(broker.process.pid or 0, signal.SIGSTOP)
        try:
            producer.send("events", b"on its way", partition=0)
            with contextlib.suppress(KafkaError):
                producer.send("events", b"behind it", partition=1).get(SILENT_S)
            first = Counting.num_polls
            with contextlib.suppress(KafkaError):
                producer.send("events", b"behind both", partition=1).get(SILENT_S)
            assert Counting.num_polls - first <= 10 + 2 * SILENT_S * 1_000 / LONGEST_WAIT_MS
        finally:
            os.kill(broker.process.pid or 0, signal.SIGCONT)
        producer.flush(10)
        producer.close()
