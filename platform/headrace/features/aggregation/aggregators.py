"""Aggregators: functions from the accumulated state of an entity to the value of a feature.

    Q states read   m measures kept   K slots   L length of a sequence

An aggregator names what it reads, `over`: an accumulator, or a view of one (`of` says of which). It
promises `value(read, now_ms_Q)`: the feature of each state at a time of its own, from what `over`
reads there. Features that read the same accumulator share one copy of its state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from headrace.features.aggregation.accumulators import NEVER, Accumulator, Values
from headrace.features.aggregation.facts import ACTIONS, CLICK, SHARE_SHIFT, SHOWN, Ints
from headrace.features.aggregation.sequence import LastN

TAKEN_BACK: Final = frozenset(ACTIONS) - {CLICK}


class Reading(Protocol):
    """A view of a state: the values read from it, at a time of its own per state."""

    @property
    def window(self) -> str: ...
    def read(self, state_Q: Any, now_ms_Q: Ints) -> NDArray[Any]: ...


class Sums(Reading, Protocol):
    """A view that reads the sums [Q, m] of these measures."""

    @property
    def measures(self) -> tuple[str, ...]: ...


class Aggregator(Protocol):
    """The contract above."""

    @property
    def over(self) -> Reading: ...
    def value(self, read_Q: NDArray[Any], now_ms_Q: Ints) -> NDArray[Any]: ...


def kept_by(view: Reading) -> Accumulator:
    """The accumulator whose state a view reads: itself, or the one that it is a view of."""
    kept: Any = getattr(view, "of", view)
    return cast(Accumulator, kept)


def keeps(view: Reading) -> bool:
    """Whether a view reads a state at all, and not a request or the catalogue alone."""
    return kept_by(view) is not None


@dataclass(frozen=True, slots=True)
class Sum:
    """The sum of a measure: of `shown`, a count of impressions."""

    measure: str
    over: Sums

    def value(self, read_Q: Values, now_ms_Q: Ints) -> Values:
        return _column(read_Q, self.over, self.measure)


@dataclass(frozen=True, slots=True)
class LogSum:
    """log(1 + sum): a count whose distribution is stable over the age of a log."""

    measure: str
    over: Sums

    def value(self, read_Q: Values, now_ms_Q: Ints) -> Values:
        return np.log1p(np.maximum(_column(read_Q, self.over, self.measure), 0.0))


@dataclass(frozen=True, slots=True)
class Rate:
    """A measure per impression, as if `strength` impressions at rate `prior` had come before.

    The mean of the measure, with `strength=0`; NaN then where nothing was shown.
    """

    measure: str
    over: Sums
    prior: float = 0.5
    strength: float = 10.0

    def value(self, read_Q: Values, now_ms_Q: Ints) -> Values:
        of_Q = _column(read_Q, self.over, self.measure) + self.prior * self.strength
        per_Q = _column(read_Q, self.over, SHOWN) + self.strength
        rate_Q: Values = np.divide(of_Q, per_Q, out=np.full_like(of_Q, np.nan), where=per_Q > 0)
        return rate_Q


@dataclass(frozen=True, slots=True)
class SinceLast:
    """log(1 + seconds) since a time that `over` keeps; `default_s` where it has none."""

    over: Reading
    default_s: float = 30 * 86_400.0

    def value(self, read_Q: Ints, now_ms_Q: Ints) -> Values:
        known_Q = read_Q != NEVER
        since_ms_Q = np.maximum(now_ms_Q - np.where(known_Q, read_Q, now_ms_Q), 0)
        return np.log1p(np.where(known_Q, since_ms_Q / 1_000, self.default_s))


@dataclass(frozen=True, slots=True)
class Part:
    """One of the numbers that `over` reads, as it is: the `index`-th of the last dimension."""

    over: Reading
    index: int

    def value(self, read_Q: NDArray[Any], now_ms_Q: Ints) -> NDArray[Any]:
        return read_Q[..., self.index]


@dataclass(frozen=True, slots=True)
class LogOf:
    """log(1 + x) of the value x that `over` reads, such as a number of distinct items."""

    over: Reading

    def value(self, read_Q: Values, now_ms_Q: Ints) -> Values:
        return np.log1p(read_Q)


@dataclass(frozen=True, slots=True)
class SlotRates:
    """[Q, K]: how much the rate of a measure in each category slot differs from the rate over all
    of them, each shrunk to that by `strength` impressions."""

    over: Sums
    measure: str = CLICK
    strength: float = 4.0

    def value(self, read_QKm: Values, now_ms_Q: Ints) -> Values:
        shown_QK = read_QKm[..., self.over.measures.index(SHOWN)]
        of_QK = _column(read_QKm, self.over, self.measure)
        overall_Q1 = (of_QK.sum(-1, keepdims=True) + 0.5) / (shown_QK.sum(-1, keepdims=True) + 1.0)
        rate_QK = (of_QK + overall_Q1 * self.strength) / (shown_QK + self.strength)
        centred_QK: Values = rate_QK - overall_Q1
        return centred_QK


@dataclass(frozen=True, slots=True)
class History:
    """[Q, 4, L]: a sequence as the ranker reads it, newest first: item keys (0 where empty), ages
    in ms, outcomes (`headrace.features.aggregation.facts.outcome`), positions."""

    over: LastN

    def value(self, read_Q: NDArray[Any], now_ms_Q: Ints) -> Ints:
        history_Q4L = np.empty((len(read_Q), 4, self.over.length), np.int64)
        history_Q4L[:, 0] = read_Q["item"]
        np.subtract(now_ms_Q[:, None], read_Q["time_ms"], out=history_Q4L[:, 1])
        np.maximum(history_Q4L[:, 1], 0, out=history_Q4L[:, 1])
        history_Q4L[:, 1] *= read_Q["item"] != 0
        history_Q4L[:, 2] = read_Q["share"]
        history_Q4L[:, 2] <<= SHARE_SHIFT
        history_Q4L[:, 2] |= read_Q["action"]
        history_Q4L[:, 3] = read_Q["position"]
        return history_Q4L


@dataclass(frozen=True, slots=True)
class TopKeys:
    """[Q, k]: the `num` keys with the greatest sums that `over` keeps, 0 where there are fewer."""

    over: Reading
    num: int = 3

    def value(self, read_Q: NDArray[Any], now_ms_Q: Ints) -> Ints:
        keys_Qk: Ints = read_Q["key"][:, : self.num]
        return keys_Qk


@dataclass(frozen=True, slots=True)
class Number:
    """The number that `over` reads, as it is; `if_missing` where it is NaN."""

    over: Reading
    if_missing: float = 0.0

    def value(self, read_Q: Values, now_ms_Q: Ints) -> Values:
        return np.where(np.isnan(read_Q), self.if_missing, read_Q)


@dataclass(frozen=True, slots=True)
class LogNumber:
    """sign(x) log(1 + |x|) of the number x that `over` reads; `if_missing` where it is NaN."""

    over: Reading
    if_missing: float = 0.0

    def value(self, read_Q: Values, now_ms_Q: Ints) -> Values:
        log_Q = np.sign(read_Q) * np.log1p(np.abs(read_Q))
        return np.where(np.isnan(log_Q), self.if_missing, log_Q)


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of the numbers [Q, S] that `over` reads, NaN left out; 0 of none."""

    over: Reading

    def value(self, read_QS: Values, now_ms_Q: Ints) -> Values:
        has_QS = ~np.isnan(read_QS)
        mean_Q: Values = np.where(has_QS, read_QS, 0.0).sum(1) / np.maximum(has_QS.sum(1), 1)
        return mean_Q


@dataclass(frozen=True, slots=True)
class Greatest:
    """The greatest of the numbers [Q, S] that `over` reads, NaN left out; 0 of none."""

    over: Reading

    def value(self, read_QS: Values, now_ms_Q: Ints) -> Values:
        greatest_Q = np.where(np.isnan(read_QS), -np.inf, read_QS).max(1, initial=-np.inf)
        return np.where(np.isfinite(greatest_Q), greatest_Q, 0.0)


def _column(read_Qm: Values, over: Sums, measure: str) -> Values:
    """A sum; of actions at least 0: one that was taken back may have come before the window."""
    column_Q: Values = read_Qm[..., over.measures.index(measure)].astype(np.float64)
    return np.maximum(column_Q, 0.0, out=column_Q) if measure in TAKEN_BACK else column_Q
