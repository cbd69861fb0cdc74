"""The bound on restarts: longer and longer pauses, and a number per time that ends the run."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

MAX_RESTARTS: Final = 5  # within WINDOW_S
WINDOW_S: Final = 600.0
MAX_PAUSE_S: Final = 16.0


@dataclass(slots=True)
class Restarts:
    """When something was started again; times are seconds of a monotonic clock."""

    num_all: int = 0
    _times: deque[float] = field(default_factory=deque)
    _ended_s: float | None = None  # when it ended this time

    def is_due(self, now_s: float) -> bool:
        """Whether a restart is due for an ended process: at once, then after 1, 2, 4 … s."""
        while self._times and now_s - self._times[0] > WINDOW_S:
            self._times.popleft()
        if self._ended_s is None:
            self._ended_s = now_s
        pause_s = min(2.0 ** (len(self._times) - 1), MAX_PAUSE_S) if self._times else 0.0
        return now_s - self._ended_s >= pause_s

    @property
    def is_spent(self) -> bool:
        """Whether it was started again as often as it may be; ask after `is_due`."""
        return len(self._times) >= MAX_RESTARTS

    def add(self, now_s: float) -> None:
        """It was started again."""
        self._times.append(now_s)
        self.num_all += 1
        self._ended_s = None
