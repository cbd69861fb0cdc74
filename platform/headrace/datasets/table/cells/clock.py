"""Times as files write them: epoch numbers of any unit, ISO 8601, or text in a pattern."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from headrace.datasets.table.bad_rows import Fault
from headrace.datasets.table.cells.cell import number, short, text
from headrace.epoch import PER_SECOND, mistaken_unit, unit_of

MAX_TIME_MS: Final = 253_402_300_799_999  # the end of the year 9999
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
UNITS: Final = {
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
}
MINUTE_MS: Final = 60_000


@dataclass(frozen=True)
class Clock:
    """How a column tells times: in a unit, as ISO 8601 or in a pattern, else as each cell looks.

    A time that names no zone is of `zone`.
    """

    unit: str | None = None
    pattern: str | None = None
    zone: str | None = None

    def time_ms(self, cell: Any) -> int:
        """Epoch milliseconds of a cell."""
        shown = text(cell).strip()
        if not shown:
            raise Fault("missing")
        if self.pattern:
            value = self._by_pattern(shown)
        elif self.unit == "iso":
            value = self._by_iso(shown)
        elif self.unit:
            value = self._by_unit(cell)
        else:
            value = self._as_it_looks(cell, shown)
        if not 0 <= value <= MAX_TIME_MS:
            raise out_of_range(shown, self.unit)
        return value

    def utc_ms(self, local_N: NDArray[np.int64]) -> NDArray[np.int64]:
        """UTC of times that name no zone."""
        if self._zone is UTC:
            return local_N
        minute_M, place_N = np.unique(local_N // MINUTE_MS, return_inverse=True)
        offsets = [self._offset_ms(minute) for minute in minute_M.tolist()]
        return local_N - np.array(offsets, np.int64)[place_N]

    @cached_property
    def _zone(self) -> Any:
        return ZoneInfo(self.zone) if self.zone and self.zone != "UTC" else UTC

    def _offset_ms(self, local_minute: int) -> int:
        try:
            local = EPOCH + timedelta(minutes=local_minute)
        except OverflowError:
            return 0  # the time is out of range and will be refused
        offset = local.replace(tzinfo=self._zone).utcoffset()
        return (offset or timedelta()) // timedelta(milliseconds=1)

    def _by_pattern(self, shown: str) -> int:
        try:
            # The zone is given in `_ms`, where the pattern has none.
            return self._ms(datetime.strptime(shown, self.pattern or ""))  # noqa: DTZ007
        except ValueError:
            kind = f"expected a time such as {self.pattern}"
            raise Fault(kind, f"{kind}, got {short(shown)}") from None

    def _by_iso(self, shown: str) -> int:
        try:
            return self._ms(datetime.fromisoformat(shown))
        except ValueError:
            kind = "expected a time such as 2024-05-01T12:00:00Z"
            raise Fault(kind, f"{kind}, got {short(shown)}") from None

    def _by_unit(self, cell: Any) -> int:
        unit = self.unit or ""
        given = number(cell)
        if found := mistaken_unit(given, UNITS[unit]):
            kind = f"a time in {found}"
            raise Fault(kind, f"{short(text(cell))} is {kind}: is unit {unit} right?")
        return round(given * ms_per(UNITS[unit]))

    def _as_it_looks(self, cell: Any, shown: str) -> int:
        try:
            given = number(cell)
        except Fault:
            return self._by_iso(shown)
        if unit := unit_of(given):
            return round(given * ms_per(unit))
        try:
            return self._by_iso(shown)  # 20240501 is a date
        except Fault:
            kind = "a number that is a time in no unit"
            told = f"{short(shown)} is no time of the years 1990 to 2099 in any unit: say its unit"
            raise Fault(kind, told) from None

    def _ms(self, moment: datetime) -> int:
        aware = moment if moment.tzinfo else moment.replace(tzinfo=self._zone)
        return (aware - EPOCH) // timedelta(milliseconds=1)


def ms_per(unit: str) -> float:
    """Milliseconds in a unit of `headrace.epoch`."""
    return 1_000 / PER_SECOND[unit]


def out_of_range(shown: str, unit: str | None) -> Fault:
    """The fault of a time before 1970 or after 9999."""
    kind = "not between 1970 and 9999"
    asked = f": is unit {unit} right?" if unit else ""
    return Fault(kind, f"{short(shown)} is {kind}{asked}")
