"""The guess of a column: what its cells are, by a sample of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import compress
from operator import not_
from typing import Any, Final, Literal, cast

import pyarrow as pa

from headrace.datasets.table.cells import cell
from headrace.datasets.table.cells.clock import Clock
from headrace.datasets.table.cells.column import readable
from headrace.datasets.table.cells.number import NumberPattern
from headrace.datasets.table.files.typed import nature
from headrace.epoch import unit_of

CellKind = Literal[
    "empty", "boolean", "whole", "number", "time", "list", "picture", "address", "html", "text",
    "other",
]  # fmt: skip
NUM_SAMPLES: Final = 5
UNIT: Final = {"seconds": "s", "milliseconds": "ms", "microseconds": "us", "nanoseconds": "ns"}
DATES: Final = ("%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d", "%d-%m-%Y", "%m-%d-%Y", "%d %b %Y")
HOURS: Final = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
PATTERNS: Final = (*(day + hour for day in DATES for hour in HOURS), "%Y%m%d%H%M%S")
MARKS: Final = (("", "."), (",", "."), (".", ","), (" ", ","), ("'", "."))
SEPARATORS: Final = ("|", ";", ",", " ")
PICTURE: Final = re.compile(r"[^\s]+\.(jpe?g|png|webp|gif)", re.IGNORECASE)
ADDRESS: Final = re.compile(r"https?://\S+", re.IGNORECASE)
UNITS: Final = re.compile(r"(?P<before>\D{0,5}?)-?\d[\d.,' \u00a0]*(?<=\d)(?P<after>\D{0,5})")
CODE: Final = re.compile(r"[^\W\d_]+[-_]?")  # letters that touch the digits: an id, no unit
NAME: Final = re.compile(r"[^\W\d_]{4,}\W*")  # a word before a number: "Tool 7" is called so
TAG: Final = re.compile(r"<\w+[^<>]*>|&\w+;")
NULL_WORDS: Final = frozenset(
    ("null", "none", "nil", "nan", "n/a", "#n/a", "na", "\\n", "undefined", "(null)", "<null>")
)


@dataclass(frozen=True, slots=True)
class ColumnGuess:
    """A column: what its cells are, how they are written, and a few of them."""

    name: str
    kind: CellKind
    samples: tuple[str, ...] = ()  # the first different ones
    num_distinct: int = 0  # among the rows that were looked at
    num_missing: int = 0  # cells without a value
    null_words: tuple[str, ...] = ()  # cells that stand for no value
    unit: str | None = None  # of a time: s, ms, us, ns or iso
    patterns: tuple[str, ...] = ()  # of a time or number; more than one where it is ambiguous
    separator: str | None = None  # of a list in a text


def guess(name: str, cells: pa.Array | Sequence[str]) -> ColumnGuess:
    """The guess of a column by its cells."""
    if not isinstance(cells, pa.Array):
        return _of_texts(name, list(cells), None)
    typed = nature(cells.type)
    if typed in ("list", "picture", "other"):
        return ColumnGuess(name, cast(CellKind, typed), num_missing=cells.null_count)
    if typed == "bytes":
        cells = readable(cells)
        if pa.types.is_binary(cells.type):
            return ColumnGuess(name, "picture", num_missing=cells.null_count)
    return _of_texts(name, cells.cast(pa.string()).to_pylist(), typed)


def _of_texts(name: str, cells: Sequence[str | None], typed: str | None) -> ColumnGuess:
    texts = [text.strip() for text in cells if text and text.strip()]
    is_null = [text.lower() in NULL_WORDS for text in texts]
    values = list(dict.fromkeys(compress(texts, map(not_, is_null))))
    looks = {"kind": "time", "unit": "iso"} if typed == "time" else _looks(values)
    return ColumnGuess(
        name,
        samples=tuple(values[:NUM_SAMPLES]),
        num_distinct=len(values),
        num_missing=len(cells) - len(texts),
        null_words=tuple(dict.fromkeys(compress(texts, is_null))),
        **looks,
    )


def _looks(values: Sequence[str]) -> dict[str, Any]:
    """The fields of a guess that the different values of a column tell; the surest first."""
    if not values:
        return {"kind": "empty"}
    for kind, looks_so in (
        ("boolean", lambda one: one.lower() in cell.BOOLEANS),
        ("picture", PICTURE.fullmatch),
        ("address", ADDRESS.fullmatch),
    ):
        if all(map(looks_so, values)):
            return {"kind": kind}
    if time := _time(values):
        return {"kind": "time", **time}
    if all(map(_is_number, values)):
        return {"kind": "whole" if all(one.lstrip("-").isdigit() for one in values) else "number"}
    if pattern := _number_pattern(values):
        return {"kind": "number", "patterns": (pattern,)}
    if any(map(TAG.search, values)):
        return {"kind": "html"}
    separator = next((mark for mark in SEPARATORS if _is_list(values, mark)), None)
    return {"kind": "list", "separator": separator} if separator else {"kind": "text"}


def _time(values: Sequence[str]) -> dict[str, Any]:
    """The unit or the patterns in which all values are times; nothing where there is none."""
    numbers = [float(one) for one in values if _is_number(one)]
    units = {unit_of(number) for number in numbers}
    if len(numbers) == len(values) and len(units) == 1 and None not in units:
        return {"unit": UNIT[str(units.pop())]}
    if all(not one.isdigit() for one in values) and _all_are(values, Clock(unit="iso").time_ms):
        return {"unit": "iso"}
    fitting = [one for one in PATTERNS if _all_are(values, Clock(pattern=one).time_ms)]
    return {"patterns": tuple(fitting)} if fitting else {}


def _number_pattern(values: Sequence[str]) -> str | None:
    """The pattern of numbers that come with separators, or with one and the same unit."""
    found = [UNITS.fullmatch(one) for one in values]
    units = {(one["before"].strip(), one["after"].strip()) if one else None for one in found}
    if len(units) != 1 or None in units or found[0] is None:
        return None
    if any(CODE.fullmatch(found[0][place]) for place in ("before", "after")):
        return None
    if NAME.fullmatch(found[0]["before"]):
        return None
    for group, point in MARKS:
        example = f"{found[0]['before']}1{group}234{point}50{found[0]['after']}"
        pattern = NumberPattern.of(example)
        if all(pattern.plain(one) is not None for one in values):
            return example
    return None


def _is_list(values: Sequence[str], mark: str) -> bool:
    """Whether most values have several short parts, and parts come again."""
    parts = [part.strip() for one in values for part in one.split(mark)]
    several = sum(mark in one for one in values)
    if mark == " " and not all(any(map(str.isdigit, part)) for part in parts):
        return False  # words of a sentence
    return 2 * several > len(values) and len(set(parts)) * 1.5 < len(parts) + 1


def _is_number(text: str) -> bool:
    return _all_are([text], cell.number)


def _all_are(values: Iterable[str], parse: Callable[[str], Any]) -> bool:
    try:
        for one in values:
            parse(one)
    except (ValueError, OverflowError):
        return False
    return True
