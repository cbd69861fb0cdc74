"""Turns one cell of a user's table into a value of ours; a `ValueError` says why it cannot be.

Cells come as text from CSV and as typed values from Parquet; both are held to the same rules.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from headrace.datasets.table.bad_rows import Fault
from headrace.datasets.table.cells.number import NumberPattern
from headrace.event import MAX_VALUE

MAX_POSITION: Final = 1_000_000  # the same as of `headrace.event.Shown`
MICROS: Final = 1_000_000  # in a unit of a currency
MAX_MICROS: Final = 10**15
MAX_ID_LENGTH: Final = 256  # the same as of `headrace.event.Id`
YES: Final = ("true", "t", "yes", "y", "1", "1.0")
NO: Final = ("false", "f", "no", "n", "0", "0.0")
QUOTED: Final = re.compile(r"'([^']*)'|\"((?:[^\"\\\\]|\\\\.)*)\"")
BOOLEANS: Final = dict.fromkeys(YES, True) | dict.fromkeys(NO, False)


def text(cell: Any) -> str:
    """The cell as text, empty where it has no value; whole numbers come without a fraction."""
    if cell is None:
        return ""
    if isinstance(cell, float):
        if math.isnan(cell):
            return ""
        return str(int(cell)) if cell.is_integer() else str(cell)
    if isinstance(cell, Decimal):
        return f"{cell:f}".rstrip("0").rstrip(".") if "." in f"{cell:f}" else f"{cell:f}"
    if isinstance(cell, bool):
        return "true" if cell else "false"
    shown = _decoded(cell) if isinstance(cell, bytes) else str(cell)
    return "" if shown.isspace() else shown


def identifier(cell: Any) -> str:
    """An id or a name: text or a whole number, not empty, not too long."""
    value = text(cell)
    if not value:
        raise Fault("missing")
    if not isinstance(cell, str | bytes) and (isinstance(cell, bool) or not _is_whole(cell)):
        raise expected("text or a whole number", value)
    if len(value) > MAX_ID_LENGTH:
        reason = f"{len(value)} characters long, at most {MAX_ID_LENGTH} are allowed"
        raise Fault("too long", reason)
    return value


def number(cell: Any, pattern: NumberPattern | None = None) -> float:
    """A finite number; texts are as Python writes one, or in the pattern."""
    shown = text(cell)
    if not shown:
        raise Fault("missing")
    try:
        plain = pattern.plain(shown) if pattern and isinstance(cell, str | bytes) else shown
        # Python reads 1_000, tables do not.
        value = math.nan if plain is None or "_" in plain else float(plain)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise expected("a number", shown)
    return value


def boolean(cell: Any) -> bool:
    """True or false, written as a boolean, 0 or 1, yes or no, or the first letter of a word."""
    shown = text(cell)
    if not shown:
        raise Fault("missing")
    value = BOOLEANS.get(shown.strip().lower())
    if value is None:
        raise expected("true, false, 0 or 1", shown)
    return value


def position(cell: Any, first: int) -> int:
    """A position counted from 0, from one counted from `first`."""
    value = number(cell)
    if not value.is_integer() or not first <= value < first + MAX_POSITION:
        raise expected(f"a whole number from {first} up", text(cell))
    return int(value) - first


def value(cell: Any, whole: float, pattern: NumberPattern | None = None) -> float:
    """A grade as a share of the whole; 0, which says nothing, for an empty cell."""
    share = number(cell, pattern) / whole if text(cell) else 0.0
    if abs(share) > MAX_VALUE:
        kind = f"not between {-MAX_VALUE:g} and {MAX_VALUE:g}"
        raise Fault(kind, f"{short(text(cell))} is {kind}")
    return share


def micros(cell: Any, pattern: NumberPattern | None = None) -> int:
    """Millionths of an amount, exactly as it is written."""
    number(cell, pattern)
    shown = text(cell)
    plain = pattern.plain(shown) if pattern and isinstance(cell, str | bytes) else shown
    amount = round(Decimal(plain or "0") * MICROS)
    if abs(amount) > MAX_MICROS:
        raise Fault("not an amount", f"{short(shown)} is more than an amount may be")
    return amount


def count(cell: Any) -> int | None:
    """A whole number from 0 on, None where there is none."""
    if not text(cell).strip():
        return None
    found = number(cell)
    if found < 0 or not found.is_integer():
        raise expected("a whole number, 0 or more", text(cell))
    return int(found)


def currency(cell: Any) -> str:
    """The three letters of a currency, empty where there is none."""
    letters = text(cell).strip().upper()
    if letters and not (len(letters) == 3 and letters.isascii() and letters.isalpha()):
        raise expected("a currency such as EUR", letters)
    return letters


def labels(cell: Any, separator: str) -> tuple[str, ...]:
    """The values in a list, however deep, or in a text; empty ones are left out."""
    stripped = (text(part).strip() for part in _parts(cell, separator))
    return tuple(dict.fromkeys(part for part in stripped if part))


def vector(cell: Any, separator: str) -> tuple[float, ...] | None:
    """The numbers in a list or in a text; NaN for a part that is no number."""
    parts = list(_parts(cell, separator))
    return tuple(map(_number_or_nan, parts)) if any(map(text, parts)) else None


def _parts(cell: Any, separator: str) -> Iterator[Any]:
    """The innermost values of a list; of a text those between separators, or within brackets."""
    if isinstance(cell, list | tuple):
        for inner in cell:
            yield from _parts(inner, separator) if isinstance(inner, list | tuple) else (inner,)
        return
    shown = text(cell).strip()
    if shown[:1] == "[" and shown[-1:] == "]":
        quoted = [first or second for first, second in QUOTED.findall(shown)]
        yield from quoted or re.split(r"[\s,]+", shown.strip("[] \n"))
    else:
        yield from shown.split(separator)


def _number_or_nan(part: Any) -> float:
    try:
        return number(part)
    except ValueError:
        return math.nan


def expected(what: str, shown: str) -> Fault:
    """The fault of a cell that is something else."""
    return Fault(f"expected {what}", f"expected {what}, got {short(shown)}")


def short(shown: str) -> str:
    """A cell in quotes, cut where it is long."""
    return repr(shown if len(shown) <= 40 else f"{shown[:37]}...")


def _is_whole(cell: Any) -> bool:
    if isinstance(cell, float):
        return cell.is_integer()
    if isinstance(cell, Decimal):
        return cell == cell.to_integral_value()
    return isinstance(cell, int)


def _decoded(cell: bytes) -> str:
    try:
        return cell.decode()
    except UnicodeDecodeError:
        raise Fault("not UTF-8 text") from None
