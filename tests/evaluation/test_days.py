"""Days: local dates of a time zone, whatever its offset does."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from headrace.errors import ConfigError
from headrace.evaluation.days import Days


def utc_ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000)


@pytest.mark.parametrize(
    ("time_zone", "at", "day", "begins"),
    [
        ("UTC", "2024-05-01T23:59:59.999", date(2024, 5, 1), "2024-05-01T00:00"),
        ("Asia/Shanghai", "2024-05-01T15:59:59.999", date(2024, 5, 1), "2024-04-30T16:00"),
        ("Asia/Shanghai", "2024-05-01T16:00", date(2024, 5, 2), "2024-05-01T16:00"),
        ("Europe/Berlin", "2024-03-31T21:59", date(2024, 3, 31), "2024-03-30T23:00"),  # 23 hours
        ("Europe/Berlin", "2024-03-31T22:00", date(2024, 4, 1), "2024-03-31T22:00"),
        ("America/New_York", "2024-05-01T03:59", date(2024, 4, 30), "2024-04-30T04:00"),
    ],
)
def test_a_time_belongs_to_the_date_of_its_zone(
    time_zone: str, at: str, day: date, begins: str
) -> None:
    days = Days(time_zone)
    assert days.day_of(utc_ms(at)) == day.toordinal()
    assert days.start_ms(day.toordinal()) == utc_ms(begins)
    assert days.day_of(utc_ms(begins)) == day.toordinal() == days.day_of(utc_ms(begins) - 1) + 1


@pytest.mark.parametrize("name", ["Mars/Olympus", "../etc/passwd", ""])
def test_a_zone_that_does_not_exist_is_named(name: str) -> None:
    with pytest.raises(ConfigError, match="HEADRACE_TIME_ZONE=.*: no such time zone"):
        Days(name)
