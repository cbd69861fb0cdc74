"""Metrics of ranked lists. Exact; a list is what one request ranked, or one user's candidates.

N candidates of all lists   A lists   L lists with something relevant

A tie counts against the ranking: of equal scores the less relevant is taken to come first. So a
ranking cannot gain by saying nothing.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.int64]
Floats = NDArray[np.float64]


class ListValues(NamedTuple):
    """The metrics of each list that has something relevant, by ascending key of the list."""

    key_L: Keys
    recall_L: Floats  # of the relevant, the share among the first k
    ndcg_L: Floats  # of the first k, gain / log2(1 + rank), over that of the best order
    reciprocal_rank_L: Floats  # of the first relevant one, wherever it is


def list_values(list_N: Keys, score_N: NDArray[Any], gain_N: NDArray[Any], k: int) -> ListValues:
    """Recall@k, NDCG@k and reciprocal rank of each list that has something relevant.

    `gain_N` >= 0 is how relevant each candidate is; 0 is not at all. The candidates of a list
    need not be together, but must all be there.
    """
    gain_N = gain_N.astype(np.float64)
    ranked_N = np.lexsort((gain_N, -score_N, list_N))
    best_N = np.lexsort((-gain_N, list_N))
    key_A, begin_A, size_A = np.unique(list_N[best_N], return_index=True, return_counts=True)
    number_N = np.repeat(np.arange(len(key_A)), size_A)
    rank_N = np.arange(len(list_N)) - begin_A[number_N] + 1
    first_N = rank_N <= k
    discount_N = first_N / np.log2(1 + rank_N)

    def total(value_N: NDArray[Any]) -> Floats:
        return np.bincount(number_N, value_N, minlength=len(key_A)).astype(np.float64)

    gain_N, ideal_N = gain_N[ranked_N], gain_N[best_N]
    some_A = total(ideal_N > 0) > 0
    reciprocal_A = np.zeros(len(key_A))
    np.maximum.at(reciprocal_A, number_N, (gain_N > 0) / rank_N)
    return ListValues(
        key_A[some_A],
        total((gain_N > 0) & first_N)[some_A] / total(gain_N > 0)[some_A],
        total(gain_N * discount_N)[some_A] / total(ideal_N * discount_N)[some_A],
        reciprocal_A[some_A],
    )


def values_of_ranks(key_L: Keys, rank_L: NDArray[Any], k: int) -> ListValues:
    """The same of lists with one relevant candidate each, by its rank, 1 for the first."""
    within_L = (rank_L <= k).astype(np.float64)
    return ListValues(key_L, within_L, within_L / np.log2(1.0 + rank_L), 1.0 / rank_L)


@dataclass(slots=True)
class RankedLists:
    """Recall@k, NDCG@k and MRR over lists; a list must come whole, in one call.

    A list without anything relevant counts in `num_lists` only. NaN while there is no other.
    """

    k: int
    num_lists: int = 0
    num_relevant: int = 0  # lists with something relevant
    sum_recall: float = 0.0
    sum_ndcg: float = 0.0
    sum_reciprocal_rank: float = 0.0

    def add(self, list_N: Keys, score_N: NDArray[Any], gain_N: NDArray[Any]) -> None:
        """Take in whole lists; see `list_values`."""
        self.add_values(list_values(list_N, score_N, gain_N, self.k), len(np.unique(list_N)))

    def add_values(self, values: ListValues, num_lists: int) -> None:
        """Take in the metrics of so many whole lists, for the same k."""
        self.num_lists += num_lists
        self.num_relevant += len(values.key_L)
        self.sum_recall += float(values.recall_L.sum())
        self.sum_ndcg += float(values.ndcg_L.sum())
        self.sum_reciprocal_rank += float(values.reciprocal_rank_L.sum())

    def merge(self, other: RankedLists) -> None:
        """Take in the sums of another one, of the same k."""
        assert other.k == self.k, f"k is {other.k} there and {self.k} here"
        self.num_lists += other.num_lists
        self.num_relevant += other.num_relevant
        self.sum_recall += other.sum_recall
        self.sum_ndcg += other.sum_ndcg
        self.sum_reciprocal_rank += other.sum_reciprocal_rank

    def to_bytes(self) -> bytes:
        """A compact form for a store; `from_bytes` reads it back."""
        return np.array([float(number) for number in astuple(self)]).tobytes()

    @classmethod
    def from_bytes(cls, payload: bytes) -> RankedLists:
        """The sums that `to_bytes` wrote; raises `ValueError` for anything else."""
        k, num_lists, num_relevant, *sums = np.frombuffer(payload).tolist()
        return cls(int(k), int(num_lists), int(num_relevant), *sums)

    @property
    def recall(self) -> float:
        return self._mean(self.sum_recall)

    @property
    def ndcg(self) -> float:
        return self._mean(self.sum_ndcg)

    @property
    def mrr(self) -> float:
        return self._mean(self.sum_reciprocal_rank)

    def _mean(self, total: float) -> float:
        return total / self.num_relevant if self.num_relevant else float("nan")
