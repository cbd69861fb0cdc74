"""Days: which local date a time belongs to, and when that date begins. Dates are ordinals."""

from __future__ import annotations

from datetime import date, datetime, time
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from headrace.errors import ConfigError
from headrace.settings.variables import variable


class Days:
    """The days of a time zone, named as in the IANA database; raises `ConfigError` for no zone.

    Times come mostly in order, so the day of the last one is kept.
    """

    def __init__(self, time_zone: str = "UTC") -> None:
        try:
            self._zone = ZoneInfo(time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ConfigError(
                f"{variable('time_zone')}={time_zone!r}: no such time zone; expected a name such "
                "as UTC, Europe/Berlin or Asia/Shanghai"
            ) from None
        self.time_zone = time_zone
        self._day, self._start_ms, self._end_ms = 0, 0, 0

    def day_of(self, time_ms: int) -> int:
        """The ordinal of the local date."""
        if not self._start_ms <= time_ms < self._end_ms:
            self._day = datetime.fromtimestamp(time_ms // 1_000, self._zone).toordinal()
            self._start_ms, self._end_ms = self.start_ms(self._day), self.start_ms(self._day + 1)
        return self._day

    def start_ms(self, day: int) -> int:
        """When the date begins: its first midnight, as epoch milliseconds."""
        midnight = datetime.combine(date.fromordinal(day), time(), self._zone)
        return round(midnight.timestamp() * 1_000)
