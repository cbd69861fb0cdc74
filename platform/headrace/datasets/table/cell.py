"""Turns one cell of a user's table into a value of ours; a `ValueError` says why it cannot be.

Cells come as text from CSV and as typed values from Parquet; both are held to the same rules.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from headrace.epoch import mistaken_unit
from headrace.event import MAX_VALUE

MAX_ID_LENGTH: Final = 256  # the same as of `headrace.event.Id`
MAX_TIME_MS: Final = 253_402_300_799_999  # the end of the year 9999
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
TO_MS: Final = {"s": 1000.0, "ms": 1.0}
UNITS: Final = {"s": "seconds", "ms": "milliseconds"}
BOOLEANS: Final = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}


def text(cell: Any) -> str:
    """The cell as text, empty where it has no value; whole numbers come without a fraction."""
    if cell is None:
        return ""
    if isinstance(cell, float):
        if math.isnan(cell):
            return ""
        return str(int(cell)) if cell.is_integer() else str(cell)
    if isinstance(cell, bool):
        return "true" if cell else "false"
    shown = str(cell)
    return "" if shown.isspace() else shown


def identifier(cell: Any) -> str:
    """An id or a name: text or a whole number, not empty, not too long."""
    value = text(cell)
    whole = isinstance(cell, int) or (isinstance(cell, float) and cell.is_integer())
    if value and (isinstance(cell, bool) or not (whole or isinstance(cell, str))):
        raise ValueError(f"expected text or a whole number, got {_short(value)}")
    if not value:
        raise ValueError("missing")
    if len(value) > MAX_ID_LENGTH:
        raise ValueError(f"{len(value)} characters long, at most {MAX_ID_LENGTH} are allowed")
    return value


def number(cell: Any) -> float:
    """A finite number."""
    shown = text(cell)
    if not shown:
        raise ValueError("missing")
    try:
        value = math.nan if "_" in shown else float(shown)  # Python reads 1_000, tables do not
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"expected a number, got {_short(shown)}")
    return value


def boolean(cell: Any) -> bool:
    """True or false, written as a boolean, 0 or 1."""
    shown = text(cell)
    if not shown:
        raise ValueError("missing")
    value = BOOLEANS.get(shown.strip().lower())
    if value is None:
        raise ValueError(f"expected true, false, 0 or 1, got {_short(shown)}")
    return value


def position(cell: Any, first: int) -> int:
    """A position counted from 0, from one counted from `first`."""
    value = number(cell)
    if not value.is_integer() or value < first:
        raise ValueError(f"expected a whole number from {first} up, got {_short(text(cell))}")
    return int(value) - first


def value(cell: Any, whole: float) -> float:
    """An outcome's value as a share of the whole; 0, which says nothing, for an empty cell."""
    share = number(cell) / whole if text(cell) else 0.0
    if abs(share) > MAX_VALUE:
        raise ValueError(f"{_short(text(cell))} is not between {-MAX_VALUE:g} and {MAX_VALUE:g}")
    return share


def time_ms(cell: Any, unit: str) -> int:
    """Epoch milliseconds of a time in this unit (s, ms or iso)."""
    if unit == "iso":
        value = (_moment(cell) - EPOCH) // timedelta(milliseconds=1)
    elif isinstance(cell, datetime):
        raise ValueError(f"is a date and time: say unit: iso instead of {unit}")
    else:
        given = number(cell)
        if found := mistaken_unit(given, UNITS[unit]):
            raise ValueError(f"{_short(text(cell))} is a time in {found}: is unit {unit} right?")
        value = round(given * TO_MS[unit])
    if not 0 <= value <= MAX_TIME_MS:
        shown = _short(text(cell))
        raise ValueError(f"{shown} is not between 1970 and 9999: is unit {unit} right?")
    return value


def labels(cell: Any, separator: str) -> tuple[str, ...]:
    """The values in a list, or in a text between separators; empty ones are left out."""
    parts = cell if isinstance(cell, list) else text(cell).split(separator)
    stripped = (text(part).strip() for part in parts)
    return tuple(dict.fromkeys(part for part in stripped if part))


def file(cell: Any, folder: Path) -> bytes | Path | None:
    """A file's content, or its path, relative to `folder`; None where it is empty."""
    if isinstance(cell, bytes):
        return cell or None
    name = text(cell).strip()
    return folder / name if name else None


def vector(cell: Any, separator: str) -> tuple[float, ...] | None:
    """The numbers in a list, or in a text between separators; NaN for a part that is no number."""
    parts = cell if isinstance(cell, list) else text(cell).split(separator)
    return tuple(map(_number_or_nan, parts)) if any(map(text, parts)) else None


def _number_or_nan(part: Any) -> float:
    try:
        return number(part)
    except ValueError:
        return math.nan


def _moment(cell: Any) -> datetime:
    if isinstance(cell, datetime):
        moment = cell
    else:
        shown = text(cell).strip()
        if not shown:
            raise ValueError("missing")
        try:
            moment = datetime.fromisoformat(shown)
        except ValueError:
            expected = "a time such as 2024-05-01T12:00:00Z"
            raise ValueError(f"expected {expected}, got {_short(shown)}") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _short(shown: str) -> str:
    return repr(shown if len(shown) <= 40 else f"{shown[:37]}...")
