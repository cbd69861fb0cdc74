"""The status reporter: a replica's document in Redis, written beside the requests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import count
from typing import Final

from headrace.clock import now_ms
from headrace.monitoring.documents import ServeDocument, TrainDocument
from headrace.monitoring.status import StatusBoard
from headrace.skipped import shortened
from headrace.stream.memory import give_back

EVERY_S: Final = 0.5
GIVE_BACK_EVERY: Final = 40  # reports, so that the memory of a burst is free in half a minute


class Reporter:
    """A thread that writes the document which `describe` makes, hears why the trainer holds
    versions back, and returns free memory to the system. `first` are things to do once, as soon as
    Redis lets them be done."""

    def __init__(
        self,
        status: StatusBoard,
        describe: Callable[[], ServeDocument],
        first: Sequence[Callable[[], object]],
    ) -> None:
        self.held = ""  # why the trainer publishes no newer version
        self.last_error = ""  # why the last report could not be made
        self._status, self._describe, self._first = status, describe, list(first)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closing.set()

    def _run(self) -> None:
        for number in count(1):
            try:
                self._report()
                self.last_error = ""
            except Exception as error:  # Redis is away, or holds what it should not
                self.last_error = shortened(f"{type(error).__name__}: {error}")
            if number % GIVE_BACK_EVERY == 0:
                give_back()
            if self._closing.wait(EVERY_S):
                return

    def _report(self) -> None:
        while self._first:
            self._first[0]()
            self._first.pop(0)
        self._status.write(self._describe(), now_ms())
        trainers = self._status.read(TrainDocument)
        newest = max(trainers, key=lambda trainer: trainer.updated_ms, default=None)
        self.held = newest.held if newest else ""
