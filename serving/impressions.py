"""Impressions on their way to the log, behind the answers: none waits for the broker.

What the broker does not take goes to the spool and from there to the log once it is back; the log
may get a copy then, which the stream tells by its event id.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from headrace import event
from headrace.broker.log_sender import LogSender, Message
from headrace.broker.spool import Spool
from headrace.errors import LogUnavailable
from headrace.event import ImpressionEvent
from headrace.features.serving_key import ServingKey

MAX_QUEUED: Final = 10_000  # while the broker is asked whether it is there
BATCH: Final = 500
TICK_S: Final = 0.2
GATHER_S: Final = 0.02  # one batch costs requests beside it far less than many


class ImpressionLog:
    """Sends impressions in a thread. `key_of` gives the key that signs them, None while Redis has
    not told it: then the stream makes the features anew."""

    def __init__(
        self,
        sender: LogSender,
        spool: Spool,
        key_of: Callable[[], ServingKey | None],
        clock: Callable[[], int],
    ) -> None:
        self._sender, self._spool, self._key_of, self._clock = sender, spool, key_of, clock
        self._queue: deque[tuple[ImpressionEvent, int]] = deque()
        self._num_overflown = 0
        self._wake, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="impressions", daemon=True)
        self._thread.start()

    @property
    def is_reaching(self) -> bool:
        """Whether the broker takes impressions, as far as is known."""
        return not self._sender.is_away

    @property
    def num_lost(self) -> int:
        """Impressions that neither the log nor the spool has."""
        return self._num_overflown + self._spool.num_dropped

    @property
    def spooled_bytes(self) -> int:
        """How much waits on disk."""
        return self._spool.num_bytes()

    @property
    def last_error(self) -> str:
        """Why impressions do not reach the log, or the spool; empty where they do."""
        return self._sender.last_error or self._spool.last_error

    def add(self, impression: ImpressionEvent) -> None:
        """Log this one; it never waits."""
        if len(self._queue) >= MAX_QUEUED:
            self._num_overflown += 1
            return
        self._queue.append((impression, self._clock()))
        self._wake.set()

    def close(self) -> None:
        """Send or spool the queued impressions, and end the thread."""
        self._closing.set()
        self._wake.set()
        self._thread.join()
        self._sender.close()
        self._spool.close()

    def _run(self) -> None:
        while not (self._closing.is_set() and not self._queue):
            if self._wake.wait(TICK_S):
                self._closing.wait(GATHER_S)
            self._wake.clear()
            while self._queue:
                self._log(self._next_batch())
            if not self._sender.is_away and not self._closing.is_set():
                self._drain()

    def _next_batch(self) -> list[Message]:
        key = self._key_of()
        taken = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
        return [_message(impression, key, at_ms) for impression, at_ms in taken]

    def _log(self, messages: Sequence[Message]) -> None:
        try:
            self._sender.submit(messages).result()
        except LogUnavailable:
            self._spool.append(messages)

    def _drain(self) -> None:
        """Send the spooled impressions, a segment at a time: newly queued ones go first."""
        try:
            while not self._queue and self._spool.drain(self._send):
                pass
        except (LogUnavailable, OSError):
            return

    def _send(self, messages: Sequence[Message]) -> None:
        for start in range(0, len(messages), BATCH):
            self._sender.submit(messages[start : start + BATCH]).result()


def _message(impression: ImpressionEvent, key: ServingKey | None, at_ms: int) -> Message:
    signed = key.sign(impression) if key else impression
    return Message(impression.user_id.encode(), event.encode(signed), at_ms)
