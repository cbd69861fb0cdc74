"""A column of times turned into epoch milliseconds, at the speed of Arrow; see `column`."""

from __future__ import annotations

import re
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from headrace.datasets.table.bad_rows import Fault
from headrace.datasets.table.cells.clock import MAX_TIME_MS, UNITS, Clock, ms_per, out_of_range
from headrace.datasets.table.cells.column import FINE, Parsed, each, patched, readable, to_numpy
from headrace.epoch import EARLIEST_S, LATEST_S, PER_SECOND

TO_MS: Final = {"s": (1_000, 1), "ms": (1, 1), "us": (1, 1_000), "ns": (1, 1_000_000)}
ISO: Final = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)?")
ZONE: Final = re.compile(r"(?:Z|[+-]\d\d:?\d\d)")
# Directives of which a pattern is turned into ISO 8601 by slicing alone, and their digits.
DIRECTIVES: Final = {"Y": r"\d{4}", **dict.fromkeys("mdHMS", r"\d{1,2}")}


def times(cells: pa.Array, clock: Clock) -> Parsed:
    """[N] int64: epoch milliseconds of a column."""
    cells = cells.cast(pa.timestamp("s")) if pa.types.is_date32(cells.type) else readable(cells)
    if pa.types.is_timestamp(cells.type):
        return _of_timestamps(cells, clock)
    if not pa.types.is_string(cells.type):
        return _of_numbers(cells, clock)
    coded = cells.dictionary_encode(null_encoding="encode")
    parsed = _of_texts(coded.dictionary, clock)
    index_N = coded.indices.to_numpy(zero_copy_only=False)
    return Parsed(parsed.value_N[index_N], parsed.fault_N[index_N], parsed.faults)


def _of_timestamps(cells: pa.Array, clock: Clock) -> Parsed:
    """Times that have a type: none is looked at in Python, which does not hold all of them."""
    times, per = TO_MS[cells.type.unit]
    raw_N = to_numpy(cells.cast(pa.int64()), -1)
    most = min(MAX_TIME_MS * per // times, np.iinfo(np.int64).max)
    ms_N = np.clip(raw_N, -most, most) * times // per
    utc_N = ms_N if cells.type.tz else clock.utc_ms(ms_N)
    is_missing_N = to_numpy(cells.is_null(), False)
    is_out_N = (np.abs(raw_N) > most) | (utc_N < 0) | (utc_N > MAX_TIME_MS)
    fault_N = np.where(is_missing_N, 0, np.where(is_out_N, 1, FINE)).astype(np.int32)
    first = next(iter(raw_N[fault_N == 1].tolist()), 0)
    told = out_of_range(f"{first} {UNITS[cells.type.unit]} since 1970", None)
    return Parsed(utc_N, fault_N, [Fault("missing"), told])


def _of_numbers(cells: pa.Array, clock: Clock) -> Parsed:
    try:
        number_N = to_numpy(cells.cast(pa.float64(), safe=False), np.nan)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return each(cells, clock.time_ms, np.int64)
    ms_N = np.zeros(len(cells), np.int64)
    is_fine_N = np.zeros(len(cells), np.bool_)
    if clock.pattern or clock.unit == "iso":
        return each(cells, clock.time_ms, np.int64)
    for unit in [UNITS[clock.unit]] if clock.unit else PER_SECOND:
        per_second = PER_SECOND[unit]
        is_in_N = (number_N >= EARLIEST_S * per_second) & (number_N < LATEST_S * per_second)
        ms_N[is_in_N] = np.rint(number_N[is_in_N] * ms_per(unit))
        is_fine_N |= is_in_N
    return patched(ms_N, is_fine_N, cells, clock.time_ms, np.int64)


def _of_texts(cells: pa.Array, clock: Clock) -> Parsed:
    """Epoch numbers or ISO 8601, whichever the first cell is; or the pattern as ISO 8601."""
    if clock.pattern:
        iso = _as_iso(cells, clock.pattern)
        return patched(*_of_iso(iso, clock), cells, clock.time_ms, np.int64)
    first = next((text for text in cells[:8].to_pylist() if text and text.strip()), "")
    if clock.unit == "iso" or (clock.unit is None and not _is_number(first)):
        return patched(*_of_iso(cells, clock), cells, clock.time_ms, np.int64)
    return _of_numbers(cells, clock)


def _of_iso(cells: pa.Array, clock: Clock) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """[N]: epoch milliseconds, and whether the cell was of the usual form and a time."""
    ms_N = np.zeros(len(cells), np.int64)
    is_fine_N = np.zeros(len(cells), np.bool_)
    for zone, ending in ((None, "$"), ("UTC", f"{ZONE.pattern}$")):
        matches = pc.match_substring_regex(cells, f"^{ISO.pattern}{ending}")
        is_so_N = to_numpy(matches, False)
        if not is_so_N.any():
            continue
        try:
            moments = cells.filter(pa.array(is_so_N)).cast(pa.timestamp("us", zone))
        except pa.ArrowInvalid:  # a 31st of February, say: each by itself
            continue
        ms = moments.cast(pa.int64()).to_numpy() // 1_000
        ms_N[is_so_N] = ms if zone else clock.utc_ms(ms)
        is_fine_N |= is_so_N
    return ms_N, is_fine_N & (ms_N >= 0) & (ms_N <= MAX_TIME_MS)


def _as_iso(cells: pa.Array, pattern: str) -> pa.Array:
    """The cells in ISO 8601, null where that takes more than to put their parts in order."""
    parts = re.split(r"%(.)", pattern)
    letters = parts[1::2]
    if not set("Ymd") <= set(letters) <= set(DIRECTIVES) or len(set(letters)) != len(letters):
        return pa.nulls(len(cells), pa.string())
    groups = [f"(?P<{letter}>{DIRECTIVES[letter]})" for letter in letters]
    texts = [re.escape(text) for text in parts[0::2]]
    regex = "".join(text + group for text, group in zip(texts, [*groups, ""], strict=True))
    found = pc.extract_regex(cells, f"^{regex}$")

    def part(letter: str) -> pa.Array | str:
        if letter not in letters:
            return "00"
        return pc.utf8_lpad(pc.struct_field(found, letter), 2, "0")

    day = [part(letter) for letter in "Ymd"]
    time = [part(letter) for letter in "HMS"]
    return pc.binary_join_element_wise(
        pc.binary_join_element_wise(*day, "-"), pc.binary_join_element_wise(*time, ":"), "T"
    )


def _is_number(text: str) -> bool:
    try:
        return float(text) is not None
    except ValueError:
        return False
