"""A dynamic table against `nn.Embedding`: a million ids, Zipf(1.05) batches, one core.

The ids came in the order in which such a stream first shows them, and `nn.Embedding` is asked for
the same rows of a vocabulary in that order. Collisions, bytes and rows are counted, not timed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.pairs import compare
from headrace.model.embedding.table import DynamicEmbedding, Lifetime

NUM_IDS = 1_000_000
DIM = 32
BATCH = 4_096  # ids
EXPONENT = 1.05
NUM_LOOKUPS = 100  # batches of one timed pass
NUM_STEPS = 3  # the same; dense Adam touches every row in each
NUM_STREAM = 500  # batches of the stream that admission and expiry see
BYTES_NEEDED = DIM * 4 + 4  # weights and accumulator


class Zipf:
    """Batches of keys; key n - 1 of the vocabulary has a probability like n^-1.05."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        weights = np.arange(1, NUM_IDS + 1) ** -EXPONENT
        self._cumulative = np.cumsum(weights / weights.sum())[:-1]  # the last id takes the rest
        vocabulary = np.unique(self._random.integers(1, 2**63 - 1, NUM_IDS + 1_000))
        self._key_by_rank = self._random.permutation(vocabulary)[:NUM_IDS]
        first_shown = self._random.exponential(size=NUM_IDS) / weights
        self.in_order: NDArray[np.int64] = self._key_by_rank[np.argsort(first_shown)]

    def batches(self, number: int) -> list[Tensor]:
        rank_BN = np.searchsorted(self._cumulative, self._random.random((number, BATCH)))
        return [torch.from_numpy(self._key_by_rank[rank_N]) for rank_N in rank_BN]


def run() -> dict[str, Any]:
    """Time ratios of lookup and training step; bytes per id, collisions, rows kept."""
    torch.set_num_threads(1)
    stream, table = Zipf(seed=0), DynamicEmbedding(DIM, learning_rate=0.05)
    bytes_per_id = fill(table, stream.in_order)
    row_by_key = table.index.find(stream.in_order)
    return {
        "num_ids": len(table),
        "collisions": NUM_IDS - len(np.unique(row_by_key)),
        "bytes_per_id": bytes_per_id[-1],
        "bytes_ratio": bytes_per_id[-1] / BYTES_NEEDED,
        "worst_bytes_ratio_while_growing": max(bytes_per_id) / BYTES_NEEDED,
        "lookup": lookup(table, stream.batches(NUM_LOOKUPS)),
        "training_step": training_step(table, stream.batches(NUM_STEPS)),
        "rows_per_distinct_id": rows_kept(stream.batches(NUM_STREAM)),
    }


def fill(table: DynamicEmbedding, in_order: NDArray[np.int64]) -> list[float]:
    """Train on every id once; the bytes per id from a tenth of them on."""
    bytes_per_id = []
    for start in range(0, NUM_IDS, BATCH):
        keys_N = torch.from_numpy(in_order[start : start + BATCH])
        table.train(keys_N).sum().backward()  # type: ignore[no-untyped-call]
        table.step()
        if len(table) >= NUM_IDS // 10:
            bytes_per_id.append(table.num_bytes / len(table))
    return bytes_per_id


def lookup(table: DynamicEmbedding, batches: list[Tensor]) -> dict[str, Any]:
    """Reading the same rows, without gradients; the rows are equal."""
    rows = [torch.from_numpy(table.index.find(keys_N.numpy())) for keys_N in batches]
    dense = nn.Embedding(*table.weight_RD.shape)
    dense.weight.data.copy_(table.weight_RD)
    with torch.no_grad():
        assert all(map(torch.equal, map(table.read, batches), map(dense, rows)))
        return compare(
            lambda: [table.read(keys_N) for keys_N in batches],
            lambda: [dense(row_N) for row_N in rows],
        )


def training_step(table: DynamicEmbedding, batches: list[Tensor]) -> dict[str, Any]:
    """Lookup, gradient and update, against `nn.Embedding` with dense Adam."""
    rows = [torch.from_numpy(table.index.find(keys_N.numpy())) for keys_N in batches]
    gradient_ND = torch.randn(BATCH, DIM)
    dense = nn.Embedding(*table.weight_RD.shape)
    adam = torch.optim.Adam(dense.parameters())

    def train_rows() -> None:
        for keys_N in batches:
            table.train(keys_N).backward(gradient_ND)  # type: ignore[no-untyped-call]
            table.step()

    def train_dense() -> None:
        for row_N in rows:
            adam.zero_grad()
            dense(row_N).backward(gradient_ND)
            adam.step()

    train_dense()  # Adam allocates its moments in its first step
    result = compare(train_rows, train_dense)
    return {**result, "times_faster": 1 / result["time_ratio"]}


def rows_kept(batches: list[Tensor]) -> dict[str, float]:
    """Rows at the end of a stream over the distinct ids in it, by lifetime."""
    lifetimes = {
        "at_once": Lifetime(),
        "admit_after_2": Lifetime(admit_after=2),
        "admit_after_3": Lifetime(admit_after=3),
        "admit_after_2_expire_after_100_steps": Lifetime(admit_after=2, expire_after=100),
    }
    num_distinct = len(np.unique(torch.cat(batches).numpy()))
    kept = {}
    for name, lifetime in lifetimes.items():
        table = DynamicEmbedding(1, learning_rate=0.05, lifetime=lifetime)
        for keys_N in batches:
            table.train(keys_N)
            table.step()
        kept[name] = len(table) / num_distinct
    return kept
