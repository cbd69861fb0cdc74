"""Values of the mapping that take keys of their own: times, thresholds, money, pictures, joins."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

import msgspec

from headrace.datasets.table.cells.number import NumberPattern
from headrace.datasets.table.keys.part import Column, Part
from headrace.event import MAX_VALUE

Text = Annotated[str, msgspec.Meta(min_length=1)]
Currency = Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]  # ISO 4217
Files = Text | tuple[Text, ...]  # names, globs and folders, relative to the folder of the mapping
SPEC: Final = re.compile(r"(0>\d+)?(\.\d+)?")  # of a field of a template
YAML_NULLS: Final = ("NULL", "null", "Null")
SHOWN: Final = "shown"  # among the values of an action column: an impression without an outcome


class Time(Part, frozen=True, kw_only=True):
    """Event time: an epoch number, a Parquet timestamp, ISO 8601, or text in a pattern.

    Without a unit it is recognised, cell by cell. A time without a zone is UTC.
    """

    column: Column
    unit: Literal["s", "ms", "us", "ns", "iso"] | None = None
    pattern: Text | None = None  # of `strptime`
    zone: Text | None = None

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """A pattern beside a unit, a pattern without directives, or an unknown zone."""
        if self.unit and self.pattern:
            yield "pattern", f"goes without unit, which is {self.unit}"
        if self.pattern and "%" not in self.pattern:
            yield "pattern", f"got {self.pattern!r}, expected one such as '%d.%m.%Y %H:%M'"
        if self.zone:
            try:
                ZoneInfo(self.zone)
            except (KeyError, ValueError, OSError):
                yield "zone", f"got {self.zone!r}, expected one such as Europe/Berlin"


class Numeric(Part, frozen=True, kw_only=True):
    """A number; `pattern` shows how the file writes 1234.5, such as "1.234,50 EUR"."""

    column: Column
    pattern: Text | None = None

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """A pattern that does not show the number."""
        if self.pattern:
            try:
                NumberPattern.of(self.pattern)
            except ValueError as error:
                yield "pattern", str(error)


class Threshold(Numeric, frozen=True, kw_only=True):
    """An action is a number of at least this much, such as a rating or a dwell time."""

    at_least: float


class Share(Numeric, frozen=True, kw_only=True):
    """A grade; as a share, where `of` is the whole: a rating of 4 in 5, 30 s in 60."""

    of: Annotated[float, msgspec.Meta(gt=0, le=MAX_VALUE)] | None = None


class Rank(Part, frozen=True, kw_only=True):
    """A position; `first` is the number that the user's column gives to the top one."""

    column: Column
    first: Annotated[int, msgspec.Meta(ge=0)] = 0


class Labels(Part, frozen=True, kw_only=True):
    """Several values in one cell; a list column of a Parquet file needs no separator."""

    column: Column
    separator: Text = "|"


class Guest(Part, frozen=True, kw_only=True):
    """A user; where the cell is empty, the one that `guest` names is a user of his own."""

    column: Column
    guest: Column


class ItemIds(Part, frozen=True, kw_only=True):
    """Several items in one cell; behind `outcome_separator` each says whether it was clicked."""

    column: Column
    separator: Text = " "
    outcome_separator: Text | None = None


class Kind(Part, frozen=True, kw_only=True):
    """The action that a row tells: the same `always`, or by the value of a column.

    A value that stands for nothing is left out: its rows are no events.
    """

    column: Column | None = None
    values: dict[str, str | None] = {}
    always: Text | None = None
    within_s: Annotated[float, msgspec.Meta(gt=0)] = 1_800.0  # of what is shown, an action of it

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """Both ways at once, or neither."""
        if self.always is not None and (self.column or self.values):
            yield "always", "goes without column and values"
        elif self.always is None and not (self.column and self.values):
            yield "column", "expected column and values, or always"

    @property
    def names(self) -> tuple[str, ...]:
        """The actions, without `shown` and what is left out."""
        told = [self.always, *self.values.values()]
        return tuple(dict.fromkeys(name for name in told if name and name != SHOWN))

    @property
    def has_shown(self) -> bool:
        """Whether rows tell impressions."""
        return SHOWN in self.values.values()


class Coin(Part, frozen=True, kw_only=True):
    """The currency of each row, by its three letters."""

    column: Column


class Money(Numeric, frozen=True, kw_only=True):
    """An amount; with `quantity` it is the price of one, and below zero it is paid back."""

    currency: Currency | Coin
    quantity: Column | None = None


class Price(Numeric, frozen=True, kw_only=True):
    """What an item costs."""

    currency: Currency | Coin


class Located(Part, frozen=True, kw_only=True):
    """Pictures, sounds or films: files by names made of columns, or by address on named hosts."""

    template: Text | None = None
    url: Column | None = None
    hosts: tuple[Text, ...] = ()

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """Both ways at once, neither, no hosts, or a template that names no column."""
        if (self.template is None) == (self.url is None):
            yield "template", "expected either template or url"
        if self.url and not self.hosts:
            yield "hosts", "missing: files are fetched only from hosts that are named"
        if self.template is not None:
            try:
                fields = list(_fields_of(self.template))
            except ValueError as error:
                yield "template", f"got {self.template!r}: {error}"
            else:
                if not fields:
                    yield "template", f"got {self.template!r}, expected one with {{column}}"

    def inner_columns(self) -> Iterator[str]:
        """The columns of the template."""
        return _fields_of(self.template or "")


class Properties(Part, frozen=True, kw_only=True):
    """A file with a row for each property of an item: its name and value, maybe with a time.

    The names are the columns that the other keys of `items` mean; the newest value counts.
    """

    name: Column
    value: Column
    time: Time | None = None


class Format(Part, frozen=True, kw_only=True):
    """How the files are written, where their names do not tell."""

    delimiter: Text | None = None
    encoding: Text | None = None
    header: bool | None = None
    columns: tuple[Text, ...] = ()
    quoting: Literal["standard", "none"] | None = None
    nulls: tuple[str | None, ...] = ()  # words; YAML takes NULL for nothing

    @property
    def null_words(self) -> tuple[str, ...]:
        """The words that stand for no value."""
        words = [(word,) if word is not None else YAML_NULLS for word in self.nulls]
        return tuple(dict.fromkeys(word for several in words for word in several))

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """An encoding that nobody knows, a delimiter that no file can have."""
        if self.encoding and not _is_encoding(self.encoding):
            yield "encoding", f"got {self.encoding!r}, expected one such as utf-8 or latin-1"
        if self.delimiter and set(self.delimiter) & set('"\r\n'):
            yield "delimiter", f"got {self.delimiter!r}, expected no quotes and ends of lines"


class Join(Part, frozen=True, kw_only=True):
    """Columns of another file, small enough for memory, found by a key: `on` both sides' column,
    or {ours: theirs}."""

    file: Files
    on: Text | dict[Text, Text]
    columns: tuple[Text, ...]
    format: Format | None = None


def _is_encoding(name: str) -> bool:
    try:
        return "a".encode(name) != b""
    except LookupError:
        return False


def _fields_of(template: str) -> Iterator[str]:
    """The columns that a template names; raises `ValueError` for other things in braces."""
    for _, field, spec, conversion in string.Formatter().parse(template):
        if field is None:
            continue
        if not field or conversion or not SPEC.fullmatch(spec or ""):
            raise ValueError(
                "expected {column}, {column:.3} for its first three letters, or {column:0>10} for "
                "ten digits"
            )
        yield field
