"""LightGBM on what the ranker saw, and on plain inputs; runs in the peers' environment.

The number of trees is chosen by the last tenth of the train. Of four other settings those were
taken that did best on the dev days of KuaiRand, by .001, so they flatter this peer.
Attributes of many values hurt there, as categories and as numbers, and are left to the rates.
Plain inputs tell what ours are worth: the same attributes, and of the numbers `inputs.PLAIN`,
counted by someone who knows nothing from before the log.
"""

from __future__ import annotations

import lightgbm
import numpy as np

from benchmarks.peers.inputs import (
    DAY_MS,
    IDS,
    MIDNIGHT_MS,
    Floats,
    Inputs,
    Ints,
    arguments,
    num_visible,
    plain,
    read,
    write,
)  # fmt: skip

FROZEN, DAILY = "frozen", "refitted daily"
MOST_VALUES = 100  # of an attribute
MOST_TREES, PATIENCE = 1_000, 50
FIT_SHARE = 0.9  # of the train; the rest says how many trees are best
SETTINGS = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 31,
    "min_data_in_leaf": 100,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "num_threads": 1,
    "deterministic": True,
    "verbose": -1,
}


class Trees:
    """Boosted trees for one label."""

    def __init__(self, inputs: Inputs, label: str, seed: int) -> None:
        few = [n for n, num in inputs.num_codes.items() if n not in IDS and num <= MOST_VALUES]
        self._x_NF = np.column_stack([inputs.dense_NF, *(inputs.code_N[name] for name in few)])
        self._categories = list(range(inputs.dense_NF.shape[1], self._x_NF.shape[1]))
        self._y_N, self._settings = inputs.label_N[label], {**SETTINGS, "seed": seed}

    def num_trees(self, fit_N: Ints, last_N: Ints) -> int:
        """With how many trees, fitted on some rows, the others are predicted best."""
        fit, last = self._data(fit_N), self._data(last_N)
        stop = lightgbm.early_stopping(PATIENCE, verbose=False)
        found = lightgbm.train(self._settings, fit, MOST_TREES, [last], callbacks=[stop])
        return max(1, int(found.best_iteration))

    def fit(self, fit_N: Ints, num_trees: int) -> lightgbm.Booster:
        """These many trees, on these rows."""
        return lightgbm.train(self._settings, self._data(fit_N), num_trees)

    def predict(self, trees: lightgbm.Booster, asked_N: Ints) -> Floats:
        """A probability for each row."""
        p_N: Floats = trees.predict(self._x_NF[asked_N]).astype(np.float32)
        return p_N

    def _data(self, row_N: Ints) -> lightgbm.Dataset:
        x_NF, y_N = self._x_NF[row_N], self._y_N[row_N]
        return lightgbm.Dataset(x_NF, y_N, categorical_feature=self._categories)


def main() -> None:
    """Predictions of trees fitted once, and of trees fitted anew each midnight."""
    options = arguments()
    read_as = {
        "LightGBM": read(options.inputs),
        "LightGBM, plain inputs": plain(read(options.plain)),
    }
    for name, inputs in read_as.items():
        frozen, daily = _predict_all(inputs, options.seed)
        write(options.out, f"{name}, {FROZEN}", frozen, inputs)
        write(options.out, f"{name}, {DAILY}", daily, inputs)


def _predict_all(inputs: Inputs, seed: int) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """By label, of frozen and of daily trees."""
    frozen, daily = {}, {}
    for label in inputs.label_N:
        frozen[label], daily[label] = _predict(Trees(inputs, label, seed), inputs)
    return frozen, daily


def _predict(trees: Trees, inputs: Inputs) -> tuple[Floats, Floats]:
    """[N]: of frozen and of daily trees; zero for rows that are not of the test."""
    train_N, test_N, day_N = inputs.train_N, inputs.test_N, inputs.day_N
    num_fit = int(FIT_SHARE * len(train_N))
    num_trees = trees.num_trees(train_N[:num_fit], train_N[num_fit:])
    fitted = trees.fit(train_N, num_trees)
    frozen_N, daily_N = np.zeros((2, inputs.num_rows), np.float32)
    asked_N = np.concatenate([test_N, test_N + inputs.num_test])
    frozen_N[asked_N] = trees.predict(fitted, asked_N)
    for day in np.unique(day_N[test_N]):
        known = num_visible(inputs, int(day) * DAY_MS - MIDNIGHT_MS)
        if known > inputs.num_train:
            fitted = trees.fit(np.arange(known), num_trees)
        asked_of_day_N = asked_N[day_N[asked_N] == day]
        daily_N[asked_of_day_N] = trees.predict(fitted, asked_of_day_N)
    return frozen_N, daily_N


if __name__ == "__main__":
    main()
