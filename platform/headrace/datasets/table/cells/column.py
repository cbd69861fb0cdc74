"""Whole columns turned into values of ours, at the speed of Arrow.

What one cell means is said in `cell` and `clock`, once. The fast ways here take the cells that are
plainly what they should be; all others go there one by one, equal ones once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from headrace.datasets.table.bad_rows import Fault
from headrace.datasets.table.cells import cell
from headrace.datasets.table.cells.number import NumberPattern
from headrace.event import MAX_VALUE

FINE: Final = -1  # instead of the number of a fault
SAFE_WHOLE: Final = 2.0**53  # doubles below it are whole numbers exactly


class Parsed(NamedTuple):
    """N values, and for each the number of its fault, or `FINE`."""

    value_N: Any  # numpy, or Arrow where they are texts
    fault_N: NDArray[np.int32]
    faults: list[Fault]


def each(cells: pa.Array, parse: Callable[[Any], Any], dtype: Any) -> Parsed:
    """Cells parsed one by one, equal ones once; texts where `dtype` is `str`."""
    if not is_single(cells.type):
        none = pa.nulls(len(cells), pa.string()) if dtype is str else np.zeros(len(cells), dtype)
        fault = Fault("expected a single value", f"expected a single value, got {cells.type}")
        return Parsed(none, np.zeros(len(cells), np.int32), [fault])
    coded = cells.dictionary_encode(null_encoding="encode")
    values: list[Any] = []
    fault_D: list[int] = []
    faults: list[Fault] = []
    for one in coded.dictionary.to_pylist():
        try:
            values.append(parse(one))
            fault_D.append(FINE)
        except (ValueError, OverflowError, ArithmeticError) as error:
            values.append("" if dtype is str else 0)
            fault_D.append(len(faults))
            faults.append(error if isinstance(error, Fault) else Fault(str(error)))
    index_N = coded.indices.to_numpy(zero_copy_only=False)
    fault_N = np.array(fault_D, np.int32)[index_N]
    if dtype is str:
        return Parsed(pa.array(values, pa.string()).take(coded.indices), fault_N, faults)
    return Parsed(np.array(values, dtype)[index_N], fault_N, faults)


def ids(cells: pa.Array) -> Parsed:
    """Ids as text."""
    cells = readable(cells)
    if pa.types.is_string(cells.type):
        size_N = to_numpy(pc.binary_length(cells), 0)  # at least the number of characters
        is_blank_N = to_numpy(pc.utf8_is_space(cells), False)
        is_fine_N = (size_N > 0) & (size_N <= cell.MAX_ID_LENGTH) & ~is_blank_N
        return patched(cells, is_fine_N, cells, cell.identifier, str)
    if pa.types.is_int64(cells.type):
        is_fine_N = to_numpy(cells.is_valid(), False)
        return patched(cells.cast(pa.string()), is_fine_N, cells, cell.identifier, str)
    if pa.types.is_floating(cells.type):
        number_N = to_numpy(cells, np.nan)
        is_fine_N = (number_N == np.floor(number_N)) & (np.abs(number_N) < SAFE_WHOLE)
        whole_N = np.where(is_fine_N, number_N, 0).astype(np.int64)
        texts = pa.array(whole_N).cast(pa.string())
        return patched(texts, is_fine_N, cells, cell.identifier, str)
    return each(cells, cell.identifier, str)


def booleans(cells: pa.Array) -> Parsed:
    """Yes or no."""
    return each(readable(cells), cell.boolean, np.bool_)


def at_least(cells: pa.Array, least: float, pattern: NumberPattern | None) -> Parsed:
    """Whether numbers reach a threshold."""
    parse = partial(cell.number, pattern=pattern)
    number = numbers(cells, parse, pattern)
    return number._replace(value_N=number.value_N >= least)


def shares(cells: pa.Array, whole: float, pattern: NumberPattern | None) -> Parsed:
    """Numbers as shares of a whole, 0 where there is none."""
    parse = partial(cell.value, whole=whole, pattern=pattern)
    return numbers(cells, parse, pattern, whole, (-MAX_VALUE, MAX_VALUE))


def micros(cells: pa.Array, pattern: NumberPattern | None, least: float = -np.inf) -> Parsed:
    """Amounts in millionths, as whole doubles; NaN where there is none."""
    parse = _from(least, partial(cell.micros, pattern=pattern))
    bounds = max(least, -cell.MAX_MICROS), float(cell.MAX_MICROS)
    amount = numbers(cells, parse, pattern, 1 / cell.MICROS, bounds)
    return amount._replace(value_N=np.rint(amount.value_N))


def quantities(cells: pa.Array, least: float = -np.inf) -> Parsed:
    """Numbers, NaN where there is none."""
    return numbers(cells, _from(least, cell.number), None, bounds=(least, np.inf))


def currencies(cells: pa.Array) -> Parsed:
    """Currencies by their three letters, empty where there is none."""
    return each(readable(cells), cell.currency, str)


def counts(cells: pa.Array) -> Parsed:
    """Whole numbers from 0 on, -1 where there is none."""

    def parse(one: Any) -> int:
        found = cell.count(one)
        return -1 if found is None else found

    return each(readable(cells), parse, np.int64)


def _from(least: float, parse: Callable[[Any], float]) -> Callable[[Any], float]:
    """The parser that takes an empty cell for NaN and refuses what is below the least."""

    def parse_from(one: Any) -> float:
        if not cell.text(one):
            return np.nan
        value = parse(one)
        if value < least:
            raise cell.expected(f"at least {least:g}", cell.text(one))
        return value

    return parse_from


def numbers(
    cells: pa.Array,
    parse: Callable[[Any], float],
    pattern: NumberPattern | None,
    unit: float = 1.0,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> Parsed:
    """Numbers in a unit and within bounds, as `parse` reads them."""
    cells = readable(cells)
    if pattern and pa.types.is_string(cells.type):
        return each(cells, parse, np.float64)
    try:
        number_N = to_numpy(cells.cast(pa.float64(), safe=False), np.nan)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return each(cells, parse, np.float64)
    with np.errstate(over="ignore"):
        value_N = number_N / unit
    is_fine_N = np.isfinite(value_N) & (value_N >= bounds[0]) & (value_N <= bounds[1])
    return patched(value_N, is_fine_N, cells, parse, np.float64)


def patched(
    value_N: Any,
    is_fine_N: NDArray[np.bool_],
    cells: pa.Array,
    parse: Callable[[Any], Any],
    dtype: Any,
) -> Parsed:
    """Values that are fine as they are, and the others parsed one by one."""
    fault_N = np.full(len(cells), FINE, np.int32)
    if is_fine_N.all():
        return Parsed(value_N, fault_N, [])
    place_M = np.flatnonzero(~is_fine_N)
    others = each(cells.take(pa.array(place_M)), parse, dtype)
    fault_N[place_M] = others.fault_N
    if dtype is str:
        value_N = pc.replace_with_mask(value_N, pa.array(~is_fine_N), others.value_N)
    else:
        value_N = value_N.copy() if not value_N.flags.writeable else value_N
        value_N[place_M] = others.value_N
    return Parsed(value_N, fault_N, others.faults)


def is_single(type_: pa.DataType) -> bool:
    """Whether cells of this type are texts, numbers or booleans."""
    tests = (pa.types.is_string, pa.types.is_binary, pa.types.is_integer, pa.types.is_floating)
    others = (pa.types.is_decimal, pa.types.is_boolean)
    return any(test(type_) for test in (*tests, *others))


def readable(cells: pa.Array) -> pa.Array:
    """The cells as text where they are bytes and all are text; else as they are."""
    if pa.types.is_binary(cells.type):
        try:
            return cells.cast(pa.string())
        except pa.ArrowInvalid:
            return cells
    return cells


def to_numpy(cells: pa.Array, absent: Any) -> Any:
    """The cells in numpy, `absent` where there is none."""
    filled = cells.fill_null(absent) if cells.null_count else cells
    return filled.to_numpy(zero_copy_only=False)
