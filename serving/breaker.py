"""Circuit breakers: a server that does not answer is left alone until a probe finds it again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from redis.exceptions import RedisError

from headrace.errors import StoreUnavailable
from headrace.skipped import shortened

FAILURES_TO_OPEN: Final = 2  # in a row
PROBE_EVERY_S: Final = 0.25
AWAY: Final = (StoreUnavailable, RedisError, OSError)
Result = TypeVar("Result")

log = logging.getLogger(__name__)


class Breaker:
    """Calls of one server, by several threads.

    Closed, it passes them on. After `FAILURES_TO_OPEN` failures in a row it is open: nothing is
    passed on, and a thread asks `probe` now and then until that succeeds.
    """

    def __init__(
        self, name: str, probe: Callable[[], object], every_s: float = PROBE_EVERY_S
    ) -> None:
        self.last_error = ""  # why it is open, empty while it is closed
        self._name, self._probe, self._every_s = name, probe, every_s
        self._lock = threading.Lock()
        self._failures = 0
        self._closing = threading.Event()

    @property
    def is_open(self) -> bool:
        """Whether calls fail at once."""
        return bool(self.last_error)

    def call(self, work: Callable[[], Result]) -> Result:
        """The result of `work`; raises `StoreUnavailable` where it fails, or is not tried."""
        if self.is_open:
            raise StoreUnavailable(f"{self._name} is away: {self.last_error}")
        try:
            result = work()
        except AWAY as error:
            self._failed(error)
            if isinstance(error, StoreUnavailable):
                raise
            raise StoreUnavailable(f"{self._name}: {error}") from error
        self._failures = 0
        return result

    def close(self) -> None:
        """End the probing."""
        self._closing.set()

    def _failed(self, error: Exception) -> None:
        with self._lock:
            self._failures += 1
            if self._failures < FAILURES_TO_OPEN or self.is_open:
                return
            self.last_error = shortened(f"{type(error).__name__}: {error}")
        log.warning("%s is away: %s", self._name, self.last_error)
        threading.Thread(target=self._find_again, name="breaker", daemon=True).start()

    def _find_again(self) -> None:
        while not self._closing.wait(self._every_s):
            try:
                self._probe()
            except Exception as error:  # whatever a server that is half there leads to
                self.last_error = shortened(f"{type(error).__name__}: {error}")
            else:
                log.warning("%s is back", self._name)
                self._failures, self.last_error = 0, ""
                return
