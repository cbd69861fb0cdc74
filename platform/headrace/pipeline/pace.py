"""The pace of a stage: how long it is expected to take, by how long it took of late."""

from __future__ import annotations

from typing import Final

from headrace.pipeline.context import Context

NEWEST: Final = 0.1  # the weight of the last run


class Pace:
    """Milliseconds by the number of candidates, in powers of two: an exponential mean each.

    Threads may share one: of two that write at once, one counts.
    """

    def __init__(self) -> None:
        self._ms: dict[int, float] = {}

    def expected_ms(self, context: Context) -> float:
        """For the candidates of a request; 0 as long as none of so many were met."""
        return self._ms.get(len(context.candidates).bit_length(), 0.0)

    def note(self, context: Context, took_ms: float) -> None:
        """Take in how long a run took."""
        size = len(context.candidates).bit_length()
        before_ms = self._ms.get(size, took_ms)
        self._ms[size] = before_ms + NEWEST * (took_ms - before_ms)
