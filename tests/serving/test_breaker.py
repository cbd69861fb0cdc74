"""A server that does not answer is left alone until a probe finds it."""

from __future__ import annotations

import threading

import pytest
from redis.exceptions import TimeoutError as RedisTimeoutError

from headrace.errors import StoreUnavailable
from serving.breaker import FAILURES_TO_OPEN, Breaker


class Server:
    """It fails while it is away, and counts who asks."""

    def __init__(self) -> None:
        self.is_away, self.num_calls = True, 0
        self.probed = threading.Event()

    def call(self) -> str:
        self.num_calls += 1
        if self.is_away:
            raise RedisTimeoutError("silent")
        return "answer"

    def probe(self) -> None:
        self.probed.set()
        self.call()


def test_failures_open_it_and_a_probe_closes_it() -> None:
    server = Server()
    breaker = Breaker("Redis", server.probe, every_s=0.01)
    for _ in range(FAILURES_TO_OPEN):
        assert not breaker.is_open
        with pytest.raises(StoreUnavailable, match="silent"):
            breaker.call(server.call)
    assert breaker.is_open and "silent" in breaker.last_error
    assert server.probed.wait(5)
    with pytest.raises(StoreUnavailable, match="Redis is away"):
        breaker.call(lambda: pytest.fail("it was asked"))
    server.is_away = False
    for _ in range(500):
        if not breaker.is_open:
            break
        threading.Event().wait(0.01)
    assert breaker.call(server.call) == "answer" and breaker.last_error == ""


def test_one_failure_between_answers_opens_nothing() -> None:
    server = Server()
    breaker = Breaker("Redis", server.probe)
    for _ in range(5):
        server.is_away = True
        with pytest.raises(StoreUnavailable):
            breaker.call(server.call)
        server.is_away = False
        breaker.call(server.call)
    assert not breaker.is_open


def test_other_errors_are_none_of_its_business() -> None:
    breaker = Breaker("Redis", lambda: None)
    for _ in range(5):
        with pytest.raises(ZeroDivisionError):
            breaker.call(lambda: 1 / 0)
    assert not breaker.is_open
