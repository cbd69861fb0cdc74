"""The quality of predictions, and the differences that are sure: per label, averaged over seeds.

Q rows of the test   N those of them that are looked at   D draws of users, see `bootstrap`
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from benchmarks.quality_rankers import (
    ALL_FROZEN,
    EVERY_5_MIN,
    FROZEN,
    ONLINE,
    Array,
    Outcomes,
    Predictions,
)
from headrace.metrics import bootstrap
from headrace.metrics.bootstrap import Draws, Floats
from headrace.metrics.grouped import group_auc

ALL: Final = "all"
MOST_DAYS: Final = 1 << 20  # since 1970, so that a user and a day are one number
LADDER: Final = ((FROZEN, ALL_FROZEN), (EVERY_5_MIN, FROZEN), (ONLINE, EVERY_5_MIN))
PEERS_FROZEN: Final = ("LightGBM, frozen", "DIN, frozen", "DCNv2, frozen")  # features are live
PEERS_GOING_ON: Final = ("LightGBM, refitted daily", "DIN, progressive", "DCNv2, progressive")
INPUTS: Final = tuple(
    (f"LightGBM, {when}", f"LightGBM, plain inputs, {when}")
    for when in ("frozen", "refitted daily")
)
GAINS: Final = (
    *LADDER,
    (ONLINE, FROZEN),
    *((FROZEN, peer) for peer in PEERS_FROZEN),
    *((ONLINE, peer) for peer in (*PEERS_FROZEN, *PEERS_GOING_ON)),
    *INPUTS,
)


@dataclass(frozen=True, slots=True)
class Tables:
    """The test of one log, and each model's predictions of it."""

    labels: Sequence[str]
    rows: Outcomes
    models: Mapping[str, Sequence[Predictions]]
    num_draws: int
    _draws: dict[str, Draws] = field(default_factory=dict)  # of the users of each slice
    _kept: dict[Any, Floats] = field(default_factory=dict)

    def report(self) -> dict[str, Any]:
        """`models.<model>.labels.<label>` and `.slices`, as `evaluate` has them, and `gains`."""
        pairs = [pair for pair in GAINS if set(pair) <= set(self.models)]
        gains = [gain for pair in pairs for gain in self._gains(*pair)]
        return {"models": {name: self._model(name) for name in self.models}, "gains": gains}

    def _model(self, model: str) -> dict[str, Any]:
        num_seeds = len(self.models[model])
        every = list(range(num_seeds))
        return {
            "labels": {label: self._numbers(model, label, ALL, every) for label in self.labels},
            "slices": {
                part: {label: self._numbers(model, label, part, every) for label in self.labels}
                for part in self.rows.is_new
            },
            "by_seed": [
                {label: self._numbers(model, label, ALL, [seed]) for label in self.labels}
                for seed in every
            ],
        }

    def _numbers(
        self, model: str, label: str, part: str, seeds: Sequence[int]
    ) -> dict[str, float | int | None]:
        metrics = ("auc", "gauc", "normalized_entropy", "calibration")
        values = {
            name: np.mean([self._metric(name, model, label, part, seed)[0] for seed in seeds])
            for name in metrics
            if part == ALL or name != "gauc"
        }
        return {"samples": len(self._places(part)), **_rounded(values)}

    def _gains(self, model: str, than: str) -> Iterator[dict[str, Any]]:
        """The differences of two models, with 95 % intervals over draws of users."""
        asked = [(ALL, name) for name in ("auc", "gauc", "normalized_entropy")]
        asked += [(part, "auc") for part in self.rows.is_new]
        for label in self.labels:
            for part, name in asked:
                one_D, other_D = (self._over_seeds(name, who, label, part) for who in (model, than))
                found = bootstrap.paired_difference(one_D, other_D)
                told = {"model": model, "than": than, "label": label, "rows": part, "metric": name}
                yield {**told, **_rounded(found._asdict()), "is_sure": found.is_sure}

    def _over_seeds(self, name: str, model: str, label: str, part: str) -> Floats:
        """[D]: the mean over a model's seeds, all on the same draws."""
        seeds = range(len(self.models[model]))
        each = [self._metric(name, model, label, part, seed) for seed in seeds]
        mean_D: Floats = np.mean(each, axis=0)
        return mean_D

    def _metric(self, name: str, model: str, label: str, part: str, seed: int) -> Floats:
        place = name, model, label, part, seed
        if place not in self._kept:
            self._kept[place] = self._made(*place)
        return self._kept[place]

    def _made(self, name: str, model: str, label: str, part: str, seed: int) -> Floats:
        column, place_N = self.labels.index(label), self._places(part)
        predictions, draws = self.models[model][seed], self._draws_of(part)
        label_N = self.rows.label_QJ[place_N, column].astype(np.float64)
        if name == "gauc":
            p_N = predictions.p_at_midnight_QJ[place_N, column]
            return bootstrap.mean(group_auc(self._user_day_N(place_N), p_N, label_N > 0), draws)
        p_N = predictions.p_QJ[place_N, column].astype(np.float64)
        return METRICS[name](p_N, label_N, draws)

    def _draws_of(self, part: str) -> Draws:
        if part not in self._draws:
            user_N = self.rows.user_Q[self._places(part)]
            self._draws[part] = Draws.of(user_N, self.num_draws)
        return self._draws[part]

    def _places(self, part: str) -> Array:
        if part == ALL:
            return np.arange(len(self.rows.user_Q))
        return np.flatnonzero(self.rows.is_new[part])

    def _user_day_N(self, place_N: Array) -> Array:
        return self.rows.user_Q[place_N] * MOST_DAYS + self.rows.day_Q[place_N]


def _rounded(values: Mapping[str, float]) -> dict[str, float | None]:
    """As JSON has them: null where a number is not defined."""
    return {name: None if np.isnan(v) else round(float(v), 5) for name, v in values.items()}


def calibration(p_N: Floats, label_N: Floats, draws: Draws) -> Floats:
    """[D]: predicted over observed; NaN without a positive."""
    return bootstrap.ratio(draws.sums(p_N), draws.sums(label_N))


METRICS: Final = {
    "auc": bootstrap.auc,
    "normalized_entropy": bootstrap.normalized_entropy,
    "calibration": calibration,
}
