"""Fields of a row of the log: for each, the user's column and how its cells are parsed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from headrace.action import BIT, CLICK
from headrace.application.declared import WORD
from headrace.datasets.table.bad_rows import BadRows, Fault
from headrace.datasets.table.cells import cell
from headrace.datasets.table.cells import column as cells_of
from headrace.datasets.table.cells.clock import Clock
from headrace.datasets.table.cells.column import FINE, Parsed, readable, to_numpy
from headrace.datasets.table.cells.moments import times
from headrace.datasets.table.cells.number import NumberPattern
from headrace.datasets.table.keys.values import SHOWN, Coin, Guest, Kind, Money, Share, Threshold
from headrace.datasets.table.mapping import EventColumns
from headrace.errors import DatasetError
from headrace.event import MAX_SURFACE
from headrace.events.declared import CONTEXT as DECLARED

LINE: Final = "line"  # in the file
TIME: Final = "time"
USER: Final = "user"
ITEM: Final = "item"
KIND: Final = "kind"
CAME: Final = "came"  # the actions that came, as bits
IS_SHOWN: Final = "is_shown"  # of a log of single facts: an impression
FILE: Final = "file"
REQUEST: Final = "request"
SURFACE: Final = "surface"
CONTEXT: Final = "context:"  # before the name of a field
POSITION: Final = "position"
VALUE: Final = "value"  # the grade of an action that came, 0 where there is none
GRADE: Final = "grade"  # a grade by itself, such as a rating
AMOUNT: Final = "amount"  # in micros, NaN where there is none
QUANTITY: Final = "quantity"  # NaN where there is none
CURRENCY: Final = "currency"
BACK: Final = "back"  # whether what carries money was taken back: its price or quantity is below 0
LEFT_OUT: Final = -1  # the kind of a row that is no event
OF_SHOWN: Final = -2  # the kind of an impression; others are the bits of actions
GUEST: Final = "guest-"  # before what stands for a user, so that it is none of those

Cells = Mapping[str, pa.Array]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of our rows: the column that is named where a cell is bad, and the parser."""

    name: str
    column: str
    parse: Callable[[Cells], Parsed]
    bit: int = 0  # of the action, where it tells whether one came


def fields(part: EventColumns) -> Iterator[Field]:
    """The fields that the mapping tells, in the order in which a bad row is told by them."""
    clock = Clock(part.time.unit, part.time.pattern, part.time.zone)
    yield _field(TIME, part.time.column, partial(times, clock=clock))
    yield _user(part.user_id)
    if part.item_id is not None:
        yield _field(ITEM, part.item_id, cells_of.ids)
    if part.action is not None and part.action.column is not None:
        yield _field(KIND, part.action.column, partial(_kinds, kind=part.action))
    told = {} if part.clicked is None else {CLICK: part.clicked}
    for action, column in {**told, **part.outcomes}.items():
        yield _outcome(column, BIT[action])
    if part.request_id is not None:
        yield _field(REQUEST, part.request_id, cells_of.ids)
    if part.surface is not None:
        yield _field(SURFACE, part.surface, _surfaces)
    for name, column in part.context.items():
        yield _context(name, column)
    if part.position is not None:
        column, first = (
            (part.position, 0)
            if isinstance(part.position, str)
            else (part.position.column, part.position.first)
        )
        yield _field(POSITION, column, partial(_positions, first=first))
    if part.value is not None:
        yield _grade(part)
    if part.money is not None:
        is_shown = part.tells_impressions and not (part.action and part.action.has_shown)
        yield from _money(part.money, 0.0 if is_shown else -np.inf)


def refuse(
    parsed: Sequence[tuple[str, Parsed]], line_N: NDArray[np.int64], file: str, bad: BadRows
) -> NDArray[np.bool_]:
    """[N]: whether each row is good; the first bad cell of the others is told."""
    good_N = np.ones(len(line_N), np.bool_)
    for name, column in parsed:
        if column.faults:
            bad_N = good_N & (column.fault_N != FINE)
            if bad_N.any():
                fault_N = column.fault_N[bad_N]
                bad.add_many(file, name, column.faults, fault_N, line_N[bad_N])
                good_N &= ~bad_N
    return good_N


def filtered(column: Any, mask_N: NDArray[np.bool_]) -> Any:
    """The values where the mask is true."""
    if mask_N.all():
        return column
    return column.filter(pa.array(mask_N)) if isinstance(column, pa.Array) else column[mask_N]


def _field(name: str, column: str, parse: Callable[[pa.Array], Parsed]) -> Field:
    return Field(name, column, lambda cells: parse(cells[column]))


def _user(given: str | Guest) -> Field:
    if isinstance(given, str):
        return _field(USER, given, cells_of.ids)
    return Field(USER, given.column, partial(_users_and_guests, given=given))


def _users_and_guests(cells: Cells, given: Guest) -> Parsed:
    """Users, and where the cell is empty, a user for each value of the guests' column."""
    users, guests = readable(cells[given.column]), readable(cells[given.guest])
    is_guest_N = to_numpy(users.is_null(nan_is_null=True), True)
    if pa.types.is_string(users.type):
        is_blank = pc.or_(pc.equal(users, ""), pc.utf8_is_space(users))
        is_guest_N = is_guest_N | to_numpy(is_blank, True)
    if not is_guest_N.any():
        return cells_of.ids(users)
    is_guest = pa.array(is_guest_N)
    named, unnamed = (
        cells_of.ids(users.filter(pc.invert(is_guest))),
        cells_of.ids(guests.filter(is_guest)),
    )
    texts = pc.replace_with_mask(
        pa.nulls(len(users), pa.string()), pc.invert(is_guest), named.value_N
    )
    prefixed = pc.binary_join_element_wise(GUEST, unnamed.value_N, "")
    fault_N = np.full(len(users), FINE, np.int32)
    fault_N[~is_guest_N] = named.fault_N
    moved_N = np.where(unnamed.fault_N == FINE, FINE, unnamed.fault_N + len(named.faults))
    fault_N[is_guest_N] = moved_N
    value_N = pc.replace_with_mask(texts, is_guest, prefixed)
    return Parsed(value_N, fault_N, [*named.faults, *unnamed.faults])


def _kinds(cells: pa.Array, kind: Kind) -> Parsed:
    codes = {
        name: LEFT_OUT if action is None else OF_SHOWN if action == SHOWN else BIT[action]
        for name, action in kind.values.items()
    }
    names = ", ".join(codes)

    def code(value: Any) -> int:
        shown = cell.text(value).strip()
        if shown not in codes:
            raise cell.expected(f"one of {names}", shown) if shown else Fault("missing")
        return codes[shown]

    return cells_of.each(readable(cells), code, np.int16)


def _outcome(given: str | Threshold, bit: int) -> Field:
    if isinstance(given, str):
        return Field("", given, lambda cells: cells_of.booleans(cells[given]), bit)
    pattern = _pattern(given.pattern)
    return Field(
        "",
        given.column,
        lambda cells: cells_of.at_least(cells[given.column], given.at_least, pattern),
        bit,
    )


def _surfaces(cells: pa.Array) -> Parsed:
    return cells_of.each(readable(cells), _surface, str)


def _surface(value: Any) -> str:
    name = cell.identifier(value)
    if len(name) > MAX_SURFACE:
        raise Fault("too long", f"{len(name)} characters long, at most {MAX_SURFACE}")
    return name


def _context(name: str, column: str) -> Field:
    """A field of the context, which may be empty."""
    if name not in DECLARED:
        known = ", ".join(DECLARED) or "none"
        raise DatasetError(f"events.context.{name}: it is not declared in context, known: {known}")
    field = DECLARED[name]
    parse = partial(_word, longest=field.max_length) if field.kind == WORD else _number
    dtype = str if field.kind == WORD else np.float64
    return _field(f"{CONTEXT}{name}", column, lambda c: cells_of.each(readable(c), parse, dtype))


def _word(value: Any, longest: int) -> str:
    word = cell.text(value)
    if len(word) > longest:
        raise Fault("too long", f"{len(word)} characters long, at most {longest}")
    return word


def _number(value: Any) -> float:
    return cell.number(value) if cell.text(value) else np.nan


def _positions(cells: pa.Array, first: int) -> Parsed:
    return cells_of.each(readable(cells), partial(cell.position, first=first), np.int32)


def _grade(part: EventColumns) -> Field:
    """The value. A share of a whole is a grade by itself, as a rating is, and so is the number that
    tells an outcome; another number says something only of what came."""
    given = part.value if isinstance(part.value, Share) else Share(column=str(part.value))
    outcomes = [part.clicked, *part.outcomes.values()]
    numbers = {one.column for one in outcomes if isinstance(one, Threshold)}
    name = GRADE if given.of is not None or given.column in numbers else VALUE
    parse = partial(cells_of.shares, whole=given.of or 1.0, pattern=_pattern(given.pattern))
    return _field(name, given.column, parse)


def _money(given: Money, least: float) -> Iterator[Field]:
    """The amount, the quantity that it is the price of, and its currency; any may be empty.

    What is shown cannot be given back, so the least may be 0.
    """
    pattern = _pattern(given.pattern)
    yield _field(AMOUNT, given.column, partial(cells_of.micros, pattern=pattern, least=least))
    if given.quantity is not None:
        yield _field(QUANTITY, given.quantity, partial(cells_of.quantities, least=least))
    if isinstance(given.currency, Coin):
        yield _field(CURRENCY, given.currency.column, cells_of.currencies)


def _pattern(example: str | None) -> NumberPattern | None:
    return None if example is None else NumberPattern.of(example)
