"""Epoch times: in which unit a number is one, and when a record of the log arrived."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

EARLIEST_S: Final = 631_152_000  # 1990
LATEST_S: Final = 4_102_444_800  # 2100
PER_SECOND: Final[Mapping[str, int]] = {
    "seconds": 1,
    "milliseconds": 1_000,
    "microseconds": 1_000_000,
    "nanoseconds": 1_000_000_000,
}
MILLISECONDS: Final = "milliseconds"
EARLIEST_MS: Final = EARLIEST_S * PER_SECOND[MILLISECONDS]
LATEST_MS: Final = LATEST_S * PER_SECOND[MILLISECONDS]
MAX_SKEW_MS: Final = 1_000  # clocks of machines that are kept right differ by less


def unit_of(number: float) -> str | None:
    """The unit in which a number is a time of the years 1990 to 2099, None if it is in none.

    In no two: a time in one unit would lie beyond these years in every other.
    """
    for unit, per_second in PER_SECOND.items():
        if EARLIEST_S * per_second <= number < LATEST_S * per_second:
            return unit
    return None


def mistaken_unit(number: float, expected: str = MILLISECONDS) -> str | None:
    """The unit that a number seems to be in where another one was expected, None if it fits."""
    found = unit_of(number)
    return None if found == expected else found


def record_time_ms(timestamp: int, now_ms: int) -> int:
    """The time stamp of a record in milliseconds, whatever its unit; `now_ms` where it is none."""
    unit = unit_of(timestamp)
    return timestamp * PER_SECOND[MILLISECONDS] // PER_SECOND[unit] if unit else now_ms


def arrival_ms(timestamp: int, now_ms: int) -> int:
    """The arrival time of a record: its time stamp, or now if that still lies ahead.

    A stamp that is ahead by no more than `MAX_SKEW_MS` is believed, so that whoever reads the
    record later, such as the archive, says the same of it.
    """
    stamped_ms = record_time_ms(timestamp, now_ms)
    return stamped_ms if stamped_ms <= now_ms + MAX_SKEW_MS else now_ms


def wrong_time(time_ms: int, arrival_ms: int, max_ahead_ms: int) -> str | None:
    """Why an event of this time cannot have arrived then, None if it can."""
    if unit := mistaken_unit(time_ms):
        return f"expected epoch milliseconds, got {time_ms}: is it in {unit}?"
    ahead_ms = time_ms - arrival_ms
    if ahead_ms <= max_ahead_ms:
        return None
    return (
        f"{time_ms} lies {ahead_ms / 1_000:.1f} s ahead of its arrival at {arrival_ms}, at most "
        f"{max_ahead_ms / 1_000:g} s are allowed: set the clock of the machine that is wrong, the "
        "sender's or the one that received it"
    )
