"""Two towers: a vector of each item and one of each user, whose product predicts the next choice.

    B users   P past events   U items   V words   A attributes   D width   E = D + 1 with the bias

An item's vector is one of its own and the mean of its words', so an item that nobody chose yet has
one too. A user's is made of the past events by three linear maps: of all that was wished for, of
the newest of that, and of what was passed over; newer events count more. Products are logarithms
of how often an item is chosen, but for a constant of the user (`headrace.learning.two_tower_fit`).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from headrace.catalogue.hashing import signs
from headrace.model.batch import Items
from headrace.model.embedding.table import DynamicEmbedding, Lifetime
from headrace.model.word_bags import WordBags

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

WIDTH: Final = 48
START: Final = 0.1  # of the numbers that a vector begins with
RATE: Final = 0.1
MAX_PAST: Final = 32  # events that are read
KEEP_ALL, KEEP_NEWEST = 0.97, 0.6  # what an event counts of the one after it
SCALE: Final = 4.0  # of a user's vector
EXPIRE_AFTER: Final = 1_000_000  # impressions without the item, or word


class TwoTower(nn.Module):
    """Both towers; their tables live beside the parameters, as those of the ranker."""

    def __init__(self) -> None:
        super().__init__()
        lifetime = Lifetime(expire_after=EXPIRE_AFTER)
        self.tables = {
            name: DynamicEmbedding(width, RATE, lifetime=lifetime)
            for name, width in (("past", WIDTH), ("item", WIDTH + 1), ("word", WIDTH + 1))
        }
        self.wished = nn.Linear(WIDTH, WIDTH, bias=False)
        self.newest = nn.Linear(WIDTH, WIDTH, bias=False)
        self.passed = nn.Linear(WIDTH, WIDTH)
        for of, start in ((self.wished, 0.5), (self.newest, 0.5), (self.passed, 0.0)):
            of.weight.data = start * torch.eye(WIDTH)
        nn.init.zeros_(self.passed.bias)

    def items(self, items: Items, known_U: Tensor | None = None) -> Tensor:
        """[U, E]: the items' vectors and biases; the words' alone where an item has none. In
        training those that are not known get none by this."""
        word_VE = self._rows("word", items.words.key_V)
        words = items.words
        of_fields = functional.embedding_bag(words.row_N, word_VE, words.start_G, mode="mean")
        own_UE = self._own(items.key_U, known_U)
        words_UE: Tensor = of_fields.view(len(own_UE), -1, WIDTH + 1).mean(1)
        return own_UE + words_UE

    def users(self, key_BP: Tensor, grade_BP: Tensor, words: WordBags) -> Tensor:
        """[B, D]: the users' vectors, of past events with the newest first and of attributes."""
        key_BP, grade_BP = key_BP[:, :MAX_PAST], grade_BP[:, :MAX_PAST]
        there_BP = (key_BP != 0).float()
        past_BPD = self._rows("past", key_BP)
        wished_BP, passed_BP = grade_BP * there_BP, (1 - grade_BP) * there_BP
        weight_B3P = torch.stack(
            [
                _faded(wished_BP, KEEP_ALL),
                _faded(wished_BP, KEEP_NEWEST),
                _faded(passed_BP, KEEP_ALL),
            ],
            1,
        )
        wished_BD, newest_BD, passed_BD = (weight_B3P @ past_BPD).unbind(1)
        word_VE = self._rows("word", words.key_V)
        attribute_BE = functional.embedding_bag(words.row_N, word_VE, words.start_G, mode="mean")
        user_BD = self.wished(wished_BD) + self.newest(newest_BD) + self.passed(passed_BD)
        vector_BD: Tensor = SCALE * (user_BD + attribute_BE[:, :WIDTH])
        return vector_BD

    def state(self, with_optimizer: bool) -> dict[str, Any]:
        """Weights and tables, which `load_state` restores."""
        tables = {name: table.state_dict(with_optimizer) for name, table in self.tables.items()}
        dense = {name: tensor.clone() for name, tensor in self.state_dict().items()}
        return {"dense": dense, "tables": tables}

    def load_state(self, state: dict[str, Any]) -> None:
        """Become the towers that `state` described."""
        self.load_state_dict(state["dense"])
        for name, table in self.tables.items():
            table.load_state_dict(state["tables"][name])

    def _own(self, key_U: Tensor, known_U: Tensor | None) -> Tensor:
        if known_U is None:
            return self._rows("item", key_U)
        known_UE = self._rows("item", key_U * known_U)
        return known_UE + self.tables["item"].read(key_U * ~known_U)

    def _rows(self, table: str, key_X: Tensor) -> Tensor:
        """[X, ...]: the rows of these keys; in training new ones begin at signs of their key."""
        rows = self.tables[table]
        if not self.training:
            return rows.read(key_X)
        return rows.train(key_X, start_ND=_start(key_X.reshape(-1), rows))


def _faded(weight_BP: Tensor, keep: float) -> Tensor:
    """[B, P]: weights whose sum is 1 at most, where each event counts less than one after it of
    which something is wished for."""
    before_BP = weight_BP.cumsum(1) - weight_BP
    faded_BP = weight_BP * keep**before_BP
    return faded_BP / (faded_BP.sum(1, keepdim=True) + 0.5)


def _start(key_X: Tensor, table: DynamicEmbedding) -> Tensor | None:
    """[X, E]: the numbers that new keys of a table begin with, the same whenever; a bias begins at
    zero. None where none is new."""
    is_new_X = (table.index.find(key_X.numpy()) == 0) & (key_X.numpy() != 0)
    if not is_new_X.any():
        return None
    start_XE = torch.zeros(len(key_X), table.dim)
    spread = START * signs(key_X.numpy()[is_new_X])[:, :WIDTH]
    start_XE[torch.from_numpy(is_new_X), :WIDTH] = torch.from_numpy(spread)
    return start_XE
