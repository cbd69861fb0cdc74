"""The options of an evaluation of slates."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AskedSlates:
    """The options of an evaluation of slates."""

    test_from_ms: int | None = None
    test_share: float = 0.2  # of the events, where no time is given
    every: int = 1  # of so many points one is asked for
    size: str = "nano"
    seed: int = 0
    top: int = 10  # items of a slate
