"""How the two towers learn: which of many items a user chose, on the samples of the ranker.

    B requests   C candidates   Q chosen ones   U distinct items of a batch   N those drawn beside
    X = U + N   D width   E = D + 1

Each chosen candidate is told from all items of its batch, and from items drawn evenly from the
catalogue (mixed negatives: Yang et al., 2020). How often an item is among them is counted, and its
logarithm taken off the product (Yi et al., 2019): so the product says how often an item is chosen,
and not how often it was shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headrace.catalogue.hashing import buckets
from headrace.catalogue.words import ContentTable
from headrace.learning.adagrad import Adagrad
from headrace.model.batch import Batch, make_items, moved
from headrace.model.two_tower import TwoTower

NUM_DRAWN: Final = 256  # items evenly drawn beside a batch
MEMORY: Final = 1_000  # batches over which occurrences are counted
NUM_BUCKETS: Final = 1 << 17  # of items that are counted
LEARNING_RATE: Final = 2e-3
GROWTH: Final = 1.1  # choices from one published state to the next
FIRST_CHOICES: Final = 200

Ints = NDArray[np.int64]
CPU: Final = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class _Pool:
    """Items that choices are told from."""

    key_X: Ints  # ascending
    known_X: Tensor  # those of the batch, which are trained as such
    log_q_X: Tensor  # how often they are in a pool


class TwoTowerFit:
    """The towers in training, and the state of them that is published."""

    def __init__(self, content: ContentTable) -> None:
        self._content = content
        self.towers = TwoTower()
        self._optimizer = Adagrad(self.towers.parameters(), LEARNING_RATE)
        self._count_B = np.zeros(NUM_BUCKETS, np.float32)
        self.num_batches = self.num_choices = 0
        self._next = FIRST_CHOICES
        self._published: dict[str, Any] = {}

    def learn(self, batch: Batch) -> None:
        """Train on the chosen candidates of a batch, once; a loss that is not finite leaves no
        trace."""
        assert batch.items is not None
        key_C = batch.items.key_U[batch.candidates.item_C.cpu()]
        pool = self._pool(np.unique(key_C[key_C != 0].numpy()))
        chosen_Q = torch.nonzero(chosen(batch) & (key_C != 0))[:, 0]
        if not len(chosen_Q):
            return
        place_Q = torch.from_numpy(np.searchsorted(pool.key_X, key_C[chosen_Q].numpy()))
        request_Q = batch.candidates.request_C.cpu()[chosen_Q]
        loss = self._loss(batch, pool, request_Q, place_Q)
        if not torch.isfinite(loss):
            for table in self.towers.tables.values():
                table.forget()
            return
        self._step(loss, len(key_C))
        self.num_choices += len(chosen_Q)
        if self.num_choices >= self._next:
            self._next = int(self.num_choices * GROWTH)
            self._published = self.towers.state(with_optimizer=False)

    def weights(self) -> dict[str, Any]:
        """The state to serve, empty before the first: a new one when a tenth more was learned, so
        that who serves it makes an index of its vectors no more often."""
        return self._published

    def state(self) -> dict[str, Any]:
        """Everything that `load_state` needs."""
        return {
            "towers": self.towers.state(with_optimizer=True),
            "optimizer": self._optimizer.state_dict(),
            "count": torch.from_numpy(self._count_B.copy()),
            "numbers": [self.num_batches, self.num_choices, self._next],
            "published": self._published,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Become what `state` described."""
        self.towers.load_state(state["towers"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._count_B = state["count"].numpy().copy()
        self.num_batches, self.num_choices, self._next = state["numbers"]
        self._published = state["published"]

    def _pool(self, key_U: Ints) -> _Pool:
        """The items that the choices of a batch with these items are told from; it is counted."""
        key_N = self._content.drawn(NUM_DRAWN, self.num_batches)
        self.num_batches += 1
        keep = 1 - 1 / min(self.num_batches, MEMORY)
        self._count_B *= keep
        self._count_B[np.unique(buckets(key_U, NUM_BUCKETS))] += 1 - keep
        key_X = np.union1d(key_U, key_N)
        p_X = self._count_B[buckets(key_X, NUM_BUCKETS)] + len(key_N) / max(len(self._content), 1)
        log_q_X = np.log(np.clip(p_X, 1e-6, 1)).astype(np.float32)
        return _Pool(key_X, torch.from_numpy(np.isin(key_X, key_U)), torch.from_numpy(log_q_X))

    def _loss(self, batch: Batch, pool: _Pool, request_Q: Tensor, place_Q: Tensor) -> Tensor:
        """The mean cross-entropy of the chosen ones, each without the others of its request."""
        self.towers.train()
        item_XE = self.towers.items(make_items(pool.key_X, self._content), pool.known_X)
        past, number_Q = batch.history, torch.arange(len(place_Q))
        grade_BP = past.known_grade_BP.cpu()
        user_BD = self.towers.users(past.known_key_BP, grade_BP, moved(batch.users.words, CPU))
        logit_QX = user_BD[request_Q] @ item_XE[:, :-1].T + item_XE[:, -1] - pool.log_q_X
        chosen_BX = torch.zeros(len(user_BD), len(pool.key_X), dtype=torch.bool)
        chosen_BX[request_Q, place_Q] = True
        other_QX = chosen_BX[request_Q]
        other_QX[number_Q, place_Q] = False
        log_p_QX = logit_QX.masked_fill(other_QX, -torch.inf).log_softmax(1)
        return -log_p_QX[number_Q, place_Q].mean()

    def _step(self, loss: Tensor, num_impressions: int) -> None:
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        for table in self.towers.tables.values():
            table.step(table.now + num_impressions)


def chosen(batch: Batch) -> Tensor:
    """[C]: the candidates that were chosen: clicked, or the chosen one of a drawn request."""
    chosen_C = batch.candidates.label_CJ[:, 0].cpu() == 1
    if batch.candidates.drawn is not None:
        chosen_C[batch.candidates.drawn.candidate_QX[:, 0].cpu()] = True
    return chosen_C
