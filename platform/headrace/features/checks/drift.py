"""Quality of a view's numbers: null rate, mean, and drift against a reference, in a fixed size.

N rows written   F features of a view   K bins   E edges between them, K - 1

A summary says what the values of each feature were like, in `BYTES_PER_FEATURE` bytes whatever the
number of rows; summaries of different rows add up. Its bins are those of a reference: the quantiles
of the rows that are taken as normal. Time is an argument.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

NUM_BINS: Final = 10
REFERENCE_ROWS: Final = 2_000
TILE_MS: Final = 60_000
NUM_TILES: Final = 10  # of the window that is compared with the reference
SMALL_SHIFT: Final = 0.1  # an index from which a distribution has changed, and has changed much
LARGE_SHIFT: Final = 0.25
SMALLEST_SHARE: Final = 1e-4  # of a bin: an empty one would make the index infinite

Summary = NDArray[Any]  # [F] of SUMMARY
Reference = NDArray[Any]  # [F] of REFERENCE
Floats = NDArray[np.float32]

SUMMARY: Final = np.dtype(
    [("rows", "<i8"), ("nulls", "<i8"), ("sum", "<f8"), ("bins", "<i8", (NUM_BINS,))]
)
REFERENCE: Final = np.dtype([("edges", "<f4", (NUM_BINS - 1,)), ("seen", SUMMARY)])
BYTES_PER_FEATURE: Final = SUMMARY.itemsize


def reference_of(value_NF: Floats) -> Reference:
    """The reference of these values: bins that hold about a tenth each, and their summary.

    A value is in the bin of the number of edges that are not greater. Where many values are equal,
    so are edges; the second then becomes the next greater float, and the value has a bin of its own
    between the two, so that a constant may drift both ways.
    """
    num_F = np.count_nonzero(~np.isnan(value_NF), axis=0)
    place_EF = np.arange(1, NUM_BINS)[:, None] * num_F // NUM_BINS
    sorted_NF = np.sort(value_NF, axis=0)  # NaN comes last
    reference = np.zeros(value_NF.shape[1], REFERENCE)
    edge_FE = np.take_along_axis(sorted_NF, place_EF, axis=0).T
    again_FE = edge_FE[:, 1:] == edge_FE[:, :-1]
    edge_FE[:, 1:] = np.where(again_FE, np.nextafter(edge_FE[:, 1:], np.inf), edge_FE[:, 1:])
    reference["edges"] = edge_FE
    reference["seen"] = summarize(value_NF, reference)
    return reference


def is_possible(reference: Reference) -> bool:
    """Whether these bytes are a reference: edges in order, of so many values as there are rows."""
    edge_FE, seen = reference["edges"], reference["seen"]
    in_order = (np.diff(edge_FE, axis=1) >= 0) | np.isnan(edge_FE[:, 1:])
    counted = (seen["bins"] >= 0).all(1) & (seen["rows"] >= 0) & (seen["nulls"] >= 0)
    total = seen["bins"].sum(1) + seen["nulls"]
    return bool(in_order.all() and counted.all() and (total <= seen["rows"]).all())


def summarize(value_NF: Floats, reference: Reference | None) -> Summary:
    """[F]: the summary of these rows; without a reference no value is in a bin."""
    value_FN = np.ascontiguousarray(value_NF.T)
    null_FN = np.isnan(value_FN)
    summary = np.zeros(len(value_FN), SUMMARY)
    summary["rows"] = len(value_NF)
    summary["nulls"] = null_FN.sum(1)
    summary["sum"] = np.where(null_FN, 0.0, value_FN).sum(1, dtype=np.float64)
    if reference is not None:
        bin_FN = np.zeros(value_FN.shape, np.uint8)
        for edge_F in reference["edges"].T:
            bin_FN += value_FN >= edge_F[:, None]
        place_FN = bin_FN + NUM_BINS * np.arange(len(value_FN))[:, None]
        counts = np.bincount(place_FN.ravel(), minlength=NUM_BINS * len(value_FN))
        summary["bins"] = counts.reshape(-1, NUM_BINS)
        summary["bins"][:, 0] -= summary["nulls"]  # NaN is beyond no edge
    return summary


def merged(summaries: Iterable[Summary], num_features: int) -> Summary:
    """[F]: the summary of the rows of all of them."""
    total = np.zeros(num_features, SUMMARY)
    for summary in summaries:
        for name in SUMMARY.names or ():
            total[name] += summary[name]
    return total


def to_columns(summary: Summary) -> dict[str, list[Any]]:
    """The summary as JSON can hold it."""
    return {name: summary[name].tolist() for name in SUMMARY.names or ()}


def from_columns(columns: Mapping[str, Sequence[Any]]) -> Summary:
    """The summary that `to_columns` gave."""
    summary = np.zeros(len(columns["rows"]), SUMMARY)
    for name, values_F in columns.items():
        summary[name] = values_F
    return summary


def null_rate(summary: Summary) -> NDArray[np.float64]:
    """[F]: the share of rows without a value, NaN without rows."""
    return _shares(summary["nulls"], summary["rows"])


def mean(summary: Summary) -> NDArray[np.float64]:
    """[F]: the mean of the values, NaN without any."""
    return _shares(summary["sum"], summary["rows"] - summary["nulls"])


def psi(expected: Summary, actual: Summary) -> NDArray[np.float64]:
    """[F]: the population stability index of two distributions over the same bins.

        sum over bins of (p - q) ln(p / q)

    with the shares p and q of the values in a bin: the symmetric form of the Kullback-Leibler
    divergence (Jeffreys). By custom 0.1 to 0.25 is a small shift and more a large one (Lewis, 1994;
    Siddiqi, Intelligent Credit Scoring, 2017, p. 369), which no test of significance stands behind:
    of two samples of n and m values of one distribution it is (K - 1)(1/n + 1/m) on
    average (Yurdakul, 2018). NaN where one has no values.
    """
    p_FK, q_FK = (
        _shares(summary["bins"], summary["bins"].sum(1)[:, None]) for summary in (expected, actual)
    )
    p_FK, q_FK = np.maximum(p_FK, SMALLEST_SHARE), np.maximum(q_FK, SMALLEST_SHARE)
    index_F: NDArray[np.float64] = ((p_FK - q_FK) * np.log(p_FK / q_FK)).sum(1)
    return index_F


class Window:
    """A view's rows of the last `NUM_TILES` minutes, and the reference that their bins are of."""

    def __init__(self, num_features: int) -> None:
        self._num_features = num_features
        self._tiles: dict[int, Summary] = {}
        self._first: list[Floats] = []  # rows that will be the reference where there is none
        self.reference: Reference | None = None

    def add(self, value_NF: Floats, now_ms: int) -> None:
        """Take in rows that were written now."""
        if self.reference is None and self.num_first < REFERENCE_ROWS:
            self._first.append(value_NF[: REFERENCE_ROWS - self.num_first].copy())
        tile = now_ms // TILE_MS
        before = [self._tiles[tile]] if tile in self._tiles else []
        summary = summarize(value_NF, self.reference)
        self._tiles[tile] = merged([summary, *before], self._num_features)
        for outdated in [t for t in self._tiles if t <= tile - NUM_TILES]:
            del self._tiles[outdated]

    def summary(self, now_ms: int) -> Summary:
        """[F]: the summary of the rows of the window that ends now."""
        inside = [s for t, s in self._tiles.items() if t > now_ms // TILE_MS - NUM_TILES]
        return merged(inside, self._num_features)

    @property
    def num_first(self) -> int:
        """How many rows wait to become a reference."""
        return sum(map(len, self._first))

    def proposal(self) -> Reference | None:
        """The reference made of the first rows that came, once there are enough of them."""
        if self.reference is not None or self.num_first < REFERENCE_ROWS:
            return None
        return reference_of(np.concatenate(self._first))

    def compare_with(self, reference: Reference | None) -> None:
        """Use this reference from now on; None begins to collect rows for a new one."""
        if _bytes(self.reference) == _bytes(reference):
            return
        self.reference, self._first = reference, []
        for summary in self._tiles.values():
            summary["bins"] = 0  # they were of other bins


def _bytes(reference: Reference | None) -> bytes:
    return b"" if reference is None else reference.tobytes()


def _shares(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    """part / whole, NaN where the whole is 0."""
    part, whole = np.broadcast_arrays(np.asarray(part, np.float64), whole)
    shares: NDArray[np.float64] = np.full(part.shape, np.nan)
    np.divide(part, whole, out=shares, where=whole != 0)
    return shares
