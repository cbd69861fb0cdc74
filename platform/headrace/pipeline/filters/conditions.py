"""The filters that are conditions: those of the application file, and that of the request.

N rows   X words of all of them   K keys that are looked for
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from headrace.application.condition import (
    Condition,
    Either,
    Every,
    HasWord,
    InRange,
    IsItem,
    Not,
    OnSurface,
)
from headrace.catalogue.table.columns import (
    ABSENT,
    COUNT_UNIT,
    COUNT_UNITS,
    MAX_WORDS,
    WORD_FIELDS,
)
from headrace.event import MICROS
from headrace.events.declared import ATTRIBUTES
from headrace.features.aggregation.facts import Ints
from headrace.keys import key
from headrace.pipeline.candidates import Kept
from headrace.pipeline.context import Context

Bools = NDArray[np.bool_]
PRICE: Final = "price"


class Columns:
    """The columns of some rows, as conditions read them."""

    def __init__(self, context: Context, row_N: Ints) -> None:
        self.row_N, self.surface = row_N, context.surface
        self.catalogue = context.catalogue
        self._bags: tuple[Ints, Ints] | None = None

    def having(self, key_K: Ints) -> Bools:
        """[N]: which items have one of these words."""
        flat, end_N = self._words()
        num_before_X = np.concatenate([[0], np.cumsum(_are_among(flat, key_K))])
        start_N = np.concatenate([[0], end_N[:-1]])
        having_N: Bools = num_before_X[end_N] > num_before_X[start_N]
        return having_N

    def full(self, field: str) -> Bools:
        """[N]: which items have as many words of a field as the columns hold, or more."""
        flat, end_N = self._words()
        start_N = np.concatenate([[0], end_N[:-1]])
        count_N = flat[np.minimum(start_N, max(len(flat) - 1, 0))] if len(flat) else start_N
        count_N = count_N // COUNT_UNITS[WORD_FIELDS.index(field)] % COUNT_UNIT
        full_N: Bools = (count_N >= MAX_WORDS) & (end_N > start_N)
        return full_N

    def kept(self, keeps_N: Bools) -> Columns:
        """The columns of the rows that are kept."""
        if self._bags is not None:
            flat, end_N = self._bags
            length_N = np.diff(end_N, prepend=0)
            self._bags = flat[np.repeat(keeps_N, length_N)], np.cumsum(length_N[keeps_N])
        self.row_N = self.row_N[keeps_N]
        return self

    def _words(self) -> tuple[Ints, Ints]:
        """The words of all items, one item's after the other, and where each item's end, [N]."""
        if self._bags is None:
            flat, length_N = self.catalogue.word_bags(self.row_N)
            self._bags = flat, np.cumsum(length_N)
        return self._bags

    def number(self, name: str) -> NDArray[np.float64]:
        """[N]: a number of the items, NaN where one has none."""
        if name in ATTRIBUTES:
            number_N: NDArray[np.float64] = self.catalogue.attribute(name, self.row_N)
            return number_N
        column, unit = ("price_micros", MICROS) if name == PRICE else (name, 1)
        whole_N: NDArray[Any] = self.catalogue.numbers(column, self.row_N)
        return np.where(whole_N == ABSENT, np.nan, whole_N / unit)


Test = Callable[[Columns], Bools]


def compiled(condition: Condition) -> Test:
    """A condition as a function of columns to the rows for which it holds, [N]."""
    match condition:
        case HasWord(field, words):
            return _has_word(field, words)
        case IsItem(ids):
            key_K = _sorted_keys(ids)
            return lambda columns: _are_among(columns.catalogue.keys(columns.row_N), key_K)
        case OnSurface(surfaces):
            return lambda columns: np.full(len(columns.row_N), columns.surface in surfaces)
        case InRange():
            return _in_range(condition)
        case Not(of):
            opposite = compiled(of)
            return lambda columns: ~opposite(columns)
        case Every(several) | Either(several):
            join = np.logical_and if isinstance(condition, Every) else np.logical_or
            tests = [compiled(one) for one in several]
            first = np.full(1, isinstance(condition, Every))
            return lambda columns: np.broadcast_to(
                reduce(join, (test(columns) for test in tests), first), len(columns.row_N)
            )


class Holds:
    """Removes the items for which a condition does not hold, with the condition's name."""

    def __init__(self, name: str, condition: Condition) -> None:
        self.name, self._test = name, compiled(condition)

    def keep(self, context: Context) -> Kept:
        """A mask over the candidates."""
        columns = columns_of(context)
        keeps_C = self._test(columns)
        context.columns = columns.kept(keeps_C)  # for the next condition
        return keeps_C


class Filtered:
    """Removes the items for which the request's own condition does not hold."""

    name: Final = "filtered"

    def keep(self, context: Context) -> Kept:
        """A mask over the candidates."""
        if context.condition is None:
            return np.ones(len(context.candidates), np.bool_)
        return compiled(context.condition)(columns_of(context))


def columns_of(context: Context) -> Columns:
    """The columns of the candidates, as the last condition left them where it was the last rule."""
    left, row_C = context.columns, context.candidates.row_C
    if isinstance(left, Columns) and np.array_equal(left.row_N, row_C):
        return left
    return Columns(context, row_C)


def _has_word(field: str, words: Sequence[str]) -> Test:
    key_K, wanted = _sorted_keys([f"{field}:{word}" for word in words]), frozenset(words)

    def test(columns: Columns) -> Bools:
        have_N = columns.having(key_K)
        # The columns hold so many words of a field: who may have more is asked by itself.
        for place in np.flatnonzero(~have_N & columns.full(field)).tolist():
            item = columns.catalogue.item(int(columns.row_N[place]))
            have_N[place] = not wanted.isdisjoint(getattr(item, field))
        return have_N

    return test


def _in_range(bounds: InRange) -> Test:
    def test(columns: Columns) -> Bools:
        number_N = columns.number(bounds.number)
        within_N: Bools = (number_N >= bounds.at_least) & (number_N > bounds.above)
        return within_N & (number_N <= bounds.at_most) & (number_N < bounds.below)

    return test


def _sorted_keys(texts: Sequence[str]) -> Ints:
    return np.unique(np.fromiter(map(key, texts), np.int64, len(texts)))


def _are_among(key_X: Ints, key_K: Ints) -> Bools:
    """[X]: which keys are among these sorted ones."""
    if not len(key_K):
        return np.zeros(key_X.shape, np.bool_)
    place_X = np.minimum(np.searchsorted(key_K, key_X), len(key_K) - 1)
    among_X: Bools = key_K[place_X] == key_X
    return among_X
