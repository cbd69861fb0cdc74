"""Parity: whether two paths to the same features agree, value by value.

    Q values of each path   F features

Counts, and sequences of what was counted, must be equal; sums of fractions may differ by a
millionth of their size, because their order may; sketches that drop what is least are shown and not
judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from headrace.events.declared import WORDS
from headrace.features.aggregation.aggregators import keeps, kept_by
from headrace.features.aggregation.facts import Ints
from headrace.features.aggregation.layout import Feature, Layout
from headrace.features.rows.state_row import Rows
from headrace.features.table import CROSSES, FEATURES

EXACT: Final = "count"
FLOAT: Final = "float"
SKETCH: Final = "sketch"
MAX_RELATIVE_ERROR: Final = 1e-6


@dataclass(slots=True)
class Agreement:
    """How far the values of one feature agree."""

    kind: str
    compared: int = 0
    mismatches: int = 0
    missing: int = 0  # the batch path has a value, the other has none
    extra: int = 0  # the other way round
    sum_error: float = 0.0
    max_error: float = 0.0

    @property
    def smape(self) -> float:
        """The mean of 2 |a - b| / (|a| + |b|): 0 where all are equal, 2 at most."""
        return self.sum_error / self.compared if self.compared else 0.0

    @property
    def is_sketch(self) -> bool:
        """Whether the values are approximate by design."""
        return self.kind == SKETCH

    @property
    def is_broken(self) -> bool:
        """Whether a value differs that may not."""
        return not self.is_sketch and bool(self.mismatches or self.missing or self.extra)

    def add(self, found_Q: NDArray[Any], expected_Q: NDArray[Any]) -> None:
        """Take in [Q, ...] values and those of the batch path; NaN is no value."""
        if not len(found_Q):
            return
        found_QK, expected_QK = (v.reshape(len(v), -1) for v in (found_Q, expected_Q))
        has_found_QK, has_expected_QK = ~np.isnan(found_QK), ~np.isnan(expected_QK)
        self.missing += int((has_expected_QK & ~has_found_QK).any(1).sum())
        self.extra += int((has_found_QK & ~has_expected_QK).any(1).sum())
        differs_QK = (found_QK != expected_QK) & has_found_QK & has_expected_QK
        error_QK = _relative_error(found_QK, expected_QK, differs_QK)
        if self.kind != EXACT:
            differs_QK &= error_QK > MAX_RELATIVE_ERROR
        self.mismatches += int(differs_QK.any(1).sum())
        self.sum_error += float(error_QK.mean(1).sum())
        self.max_error = max(self.max_error, float(error_QK.max()))
        self.compared += len(found_Q)


@dataclass(slots=True)
class Parity:
    """The agreement of each feature, by the group that it was compared in."""

    groups: dict[str, dict[str, Agreement]] = field(default_factory=dict)

    def add(self, group: str, name: str, found_Q: NDArray[Any], expected_Q: NDArray[Any]) -> None:
        """Compare values of one feature."""
        self._agreement(group, name).add(found_Q, expected_Q)

    def add_table(self, group: str, names: Sequence[str], found_QF: Any, expected_QF: Any) -> None:
        """Compare a table of values, a feature a column."""
        for place, name in enumerate(names):
            self.add(group, name, found_QF[:, place], expected_QF[:, place])

    def add_rows(self, group: str, layout: Layout, found: Rows, expected: Rows) -> None:
        """Compare every feature of the same entities' rows, as of the newest event in both."""
        now_ms_Q: Ints = np.maximum(found["event_time_ms"], expected["event_time_ms"])
        columns = zip(
            layout.features,
            layout.values(found["state"], now_ms_Q, layout.features),
            layout.values(expected["state"], now_ms_Q, layout.features),
            strict=True,
        )
        for feature, found_Q, expected_Q in columns:
            self.add(group, feature.name, found_Q, expected_Q)

    def count(self, group: str, names: Sequence[str], missing: int = 0, extra: int = 0) -> None:
        """Take in that so many values of these features are on one side only."""
        for name in names:
            agreement = self._agreement(group, name)
            agreement.missing += missing
            agreement.extra += extra

    def _agreement(self, group: str, name: str) -> Agreement:
        of_group = self.groups.setdefault(group, {})
        return of_group.setdefault(name, Agreement(kind_of(name)))


def _relative_error(
    found_QK: NDArray[Any], expected_QK: NDArray[Any], differs_QK: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """[Q, K]: 2 |a - b| / (|a| + |b|), 0 where they do not differ."""
    error_QK = np.zeros(found_QK.shape)
    found_D, expected_D = (v[differs_QK].astype(np.float64) for v in (found_QK, expected_QK))
    error_QK[differs_QK] = 2 * np.abs(found_D - expected_D) / (np.abs(found_D) + np.abs(expected_D))
    return error_QK


def kind_of(name: str) -> str:
    """How closely the values of a feature must agree."""
    return _KIND_OF[name]


def _kind(feature: Feature) -> str:
    if not keeps(feature.aggregator.over):
        return EXACT
    kept = kept_by(feature.aggregator.over)
    if kept.is_sketch:
        return SKETCH
    return EXACT if kept.is_exact else FLOAT


TOLD: Final = tuple(f"context.{name}" for name in WORDS)  # words that requests told
_KIND_OF: Final = {
    **{feature.name: _kind(feature) for feature in (*FEATURES, *CROSSES)},
    **dict.fromkeys(TOLD, EXACT),
}
