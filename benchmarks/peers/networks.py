"""DIN and DCNv2, FuxiCTR's own classes, on what the ranker saw; runs in the peers' environment.

Adam at 1e-3, batches of 1,024 in the order of time through the train, once; then the test in
batches of 256: predicted first, learned from when their outcomes are visible; as of midnight by the
model of then. Embeddings are 8 wide, the MLP has 256 and 128 units; a model per label. Ids seen
less than twice in the train share one embedding.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from fuxictr.features import FeatureMap
from model_zoo.LongCTR.DCNv2 import DCNv2
from model_zoo.LongCTR.DIN import DIN

from benchmarks.peers.inputs import (
    ALL_ACTIONS,
    HISTORY,
    NOTHING,
    Floats,
    Inputs,
    Ints,
    arguments,
    num_visible,
    read,
    write,
)  # fmt: skip

TRAIN_ROWS, ONLINE_ROWS = 1_024, 256
WIDTH, UNITS = 8, [256, 128]
LARGEST = 5.0  # standard deviations
SHARED = {
    "embedding_dim": WIDTH,
    "learning_rate": 1e-3,
    "optimizer": "adam",
    "loss": "binary_crossentropy",
    "task": "binary_classification",
    "metrics": ["AUC"],
    "gpu": -1,
    "verbose": 0,
}
Batch = tuple[dict[str, Any], dict[str, Any], Any]
"""FuxiCTR's: features, items and actions of the history with the candidate last, its mask."""
MODELS = {
    "din": ("DIN", DIN, {"dnn_hidden_units": UNITS}),
    "dcnv2": ("DCNv2", DCNv2, {"parallel_dnn_hidden_units": UNITS}),
}


class Network:
    """One of the models for one label, and its batches."""

    def __init__(self, peer: str, inputs: Inputs, label: str, seed: int) -> None:
        torch.manual_seed(seed)
        self._inputs, self._label = inputs, label
        numbers_NF = inputs.dense_NF[: inputs.num_train]
        scaled_NF = (inputs.dense_NF - numbers_NF.mean(0)) / np.maximum(numbers_NF.std(0), 1e-6)
        self._dense_NF = torch.from_numpy(np.clip(scaled_NF, -LARGEST, LARGEST))
        self._codes = {n: c for n, c in inputs.code_N.items() if n != "item"}
        _, model, settings = MODELS[peer]
        with tempfile.TemporaryDirectory() as root:
            self._model = model(self._features(), **settings, **SHARED, model_root=root)
        self._model._max_gradient_norm, self._model._batch_index = 10.0, 0  # as its `fit` does
        self._model.optimizer.zero_grad()

    def batch(self, row_N: Ints) -> Batch:
        """Some of the inputs' rows, to be learned or predicted."""
        inputs = self._inputs
        dense = {f"dense{n}": x_N for n, x_N in enumerate(self._dense_NF[row_N].T)}
        codes = {f"key_{n}": torch.from_numpy(c[row_N]) for n, c in self._codes.items()}
        labels = {self._label: torch.from_numpy(inputs.label_N[self._label][row_N])}
        pasts = {"item": inputs.history_NT[row_N], "action": inputs.action_NT[row_N]}
        last = {"item": inputs.code_N["item"][row_N], "action": np.zeros(len(row_N), np.int64)}
        items = {n: torch.from_numpy(np.column_stack([pasts[n], last[n]]).ravel()) for n in pasts}
        mask_NT = torch.from_numpy(pasts["action"] > 0).float()
        assert mask_NT.shape[1] == HISTORY
        return {**dense, **codes, **labels}, items, mask_NT

    def learn(self, batch: Batch) -> None:
        """One step."""
        self._model.train()
        self._model.train_step(batch)

    def predict(self, batch: Batch) -> Floats:
        """A probability for each row."""
        self._model.eval()
        with torch.no_grad():
            p_N1 = self._model(batch)["y_pred"]
        p_N: Floats = p_N1[:, 0].numpy()
        return p_N

    def standing_still(self) -> Network:
        """One that goes on predicting as this one does now."""
        still = copy.copy(self)
        still._model = copy.deepcopy(self._model)
        return still

    def _features(self) -> FeatureMap:
        features = FeatureMap("inputs", ".")
        numbers = {f"dense{n}": {"type": "numeric"} for n in range(self._dense_NF.shape[1])}
        sizes = self._inputs.num_codes
        codes = {f"key_{n}": {"type": "categorical", "vocab_size": sizes[n]} for n in self._codes}
        of_item = {"type": "categorical", "source": "item", "padding_idx": NOTHING}
        features.features.update(numbers | codes)
        features.features["item"] = {**of_item, "vocab_size": sizes["item"]}
        features.features["action"] = {**of_item, "vocab_size": 1 + ALL_ACTIONS}
        features.labels, features.default_emb_dim = [self._label], WIDTH
        return features


def main() -> None:
    """Predictions of a model that stands still after the train, and of one that goes on."""
    options = arguments()
    torch.set_num_threads(1)
    inputs = read(options.inputs)
    frozen, online = {}, {}
    for label in inputs.label_N:
        network = Network(options.peer, inputs, label, options.seed)
        frozen[label], online[label] = _predict(network, inputs)
    name = MODELS[options.peer][0]
    write(options.out, f"{name}, frozen", frozen, inputs)
    write(options.out, f"{name}, progressive", online, inputs)


def _predict(network: Network, inputs: Inputs) -> tuple[Floats, Floats]:
    """[N]: of the frozen and of the progressive model; zero for rows that are not of the test."""
    for row_N in _batches(inputs.train_N, TRAIN_ROWS):
        network.learn(network.batch(row_N))
    frozen_N, online_N = np.zeros((2, inputs.num_rows), np.float32)
    for row_N in _batches(inputs.test_N, ONLINE_ROWS):
        for asked_N in (row_N, row_N + inputs.num_test):
            frozen_N[asked_N] = network.predict(network.batch(asked_N))
    learned, test_day_N = inputs.num_train, inputs.day_N[inputs.test_N]
    for day in np.unique(test_day_N):
        at_midnight = network.standing_still()
        for row_N in _batches(inputs.test_N[test_day_N == day], ONLINE_ROWS):
            known = num_visible(inputs, int(inputs.time_ms_N[row_N[0]]))
            while known - learned >= ONLINE_ROWS:
                network.learn(network.batch(np.arange(learned, learned + ONLINE_ROWS)))
                learned += ONLINE_ROWS
            online_N[row_N] = network.predict(network.batch(row_N))
            late_N = row_N + inputs.num_test
            online_N[late_N] = at_midnight.predict(network.batch(late_N))
    return frozen_N, online_N


def _batches(row_N: Ints, num: int) -> Iterator[Ints]:
    return (row_N[start : start + num] for start in range(0, len(row_N), num))


if __name__ == "__main__":
    main()
