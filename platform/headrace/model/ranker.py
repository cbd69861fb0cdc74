"""FuseRank: content and behaviour in, logits per head and candidate out.

    B requests   C candidates of all requests   U distinct items   X items or candidates
    F features   D width   H hidden   K logits   S places of the history

What is expensive is done where it is rare: an item's side once per weight version, a user's side
once per request; a candidate meets them in matrix products over all candidates. The first layer
of the last network is split the same way into a part of the item, one of the user and one of the
pair. A candidate's score does not depend on which other candidates are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from headrace.model.batch import Batch, Candidates, Items, moved
from headrace.model.cross import GatedCross
from headrace.model.embedding import DynamicEmbedding
from headrace.model.heads import ExpertHeads, PositionBias
from headrace.model.item_tower import CandidateSide, ItemRows, ItemSide, ItemTower
from headrace.model.ranker_config import RankerConfig
from headrace.model.scale import RunningScale
from headrace.model.similarity import NUM_SIMILARITIES, similarity_tiers
from headrace.model.target_attention import Slots, attend
from headrace.model.user_tower import UserSide, UserTower


@dataclass(frozen=True, slots=True)
class Scored:
    """The logits as serving sees them, and what the position in the slate adds in training."""

    logit_CK: Tensor
    position_CK: Tensor | None


class Ranker(nn.Module):
    """The network; its embedding tables live beside its parameters and have their own rule."""

    def __init__(self, config: RankerConfig, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.config, dim = config, config.dim
        self.tables = {
            "item": DynamicEmbedding(dim, config.embedding_learning_rate),
            "user": DynamicEmbedding(dim, config.embedding_learning_rate),
            "item_bias": DynamicEmbedding(config.num_logits, config.embedding_learning_rate),
            "user_bias": DynamicEmbedding(config.num_logits, config.embedding_learning_rate),
            "token": DynamicEmbedding(dim, config.token_learning_rate),
        }
        self.items = ItemTower(config)
        self.user = UserTower(config)
        self.scale = RunningScale(config.num_dense)
        self.linear = nn.Linear(config.num_dense, config.num_logits)
        self.context = nn.Linear(config.num_dense + NUM_SIMILARITIES, dim)
        self.cross = GatedCross(5 * dim, config.cross_rank, config.num_cross)
        self.first = nn.Linear(5 * dim, config.hidden, bias=False)
        self.second = nn.Linear(config.hidden, config.hidden // 2)
        self.heads = ExpertHeads(config, config.hidden // 2)
        self.position = PositionBias(config)
        nn.init.normal_(self.linear.weight, std=0.02)

    @property
    def device(self) -> torch.device:
        return self.linear.weight.device

    def item_side(self, items: Items, dropout_seed: int | None = None) -> ItemSide:
        """What histories and candidates read of items, the same whoever asks."""
        rows = ItemRows(
            self._rows("token", items.tokens.key_V),
            self._rows("item", items.key_U),
            self._rows("item_bias", items.key_U),
        )
        side: ItemSide = self.items(items, rows, dropout_seed)
        return side

    def user_side(self, batch: Batch, items: ItemSide) -> UserSide:
        """What the users' profiles and histories say, once per request."""
        users, history = batch.users, batch.history.newest(self.config.history)
        token_VD = self._rows("token", users.tokens.key_V)
        attribute_BD = functional.embedding_bag(
            users.tokens.row_N, token_VD, users.tokens.start_G, mode="mean"
        )
        profile_BD = self.user.profile(attribute_BD) + self._rows("user", users.key_B)
        place_BSD = self.user(profile_BD, history, items)
        return self.user.side(place_BSD, self._rows("user_bias", users.key_B), history, items)

    def score(self, user: UserSide, side: CandidateSide, candidates: Candidates) -> Tensor:
        """[C, K]: the logits of the candidates, without any bias of the position."""
        request_C, item_CD = candidates.request_C, side.items.vector_XD
        slots = Slots(request_C, len(user.user_BD))
        weight_BNS = attend(slots.spread(side.query_XD), user.key_BSD, user.mask_BS)
        attended_CD = slots.gather(weight_BNS @ user.value_BSD)
        similar_CX = slots.gather(self._similarities(slots.spread(side.items.content_XD), user))
        dense_CF = self.scale(candidates.dense_CF)
        context_CD = self.context(torch.cat([dense_CF, similar_CX], -1)).relu()
        user_CD = functional.embedding(request_C, user.user_BD)
        inputs = (item_CD, item_CD * user_CD, attended_CD, attended_CD * item_CD, context_CD)
        crossed_CX = self.cross(torch.cat(inputs, -1))
        of_user_CH = functional.embedding(request_C, user.hidden_BH)
        hidden_CH = (self.first(crossed_CX) + side.hidden_XH + of_user_CH).relu()
        bias_CK = side.items.bias_XK + functional.embedding(request_C, user.bias_BK)
        logit_CK: Tensor = self.heads(self.second(hidden_CH).relu()) + self.linear(dense_CF)
        return logit_CK.float() + bias_CK

    def candidates_of(self, items: Items) -> CandidateSide:
        """These items as candidates: what serving keeps of its catalogue per weight version."""
        with self.precision():
            return self.items.candidate_side(self.item_side(moved(items, self.device)))

    def serve(self, batch: Batch, catalogue: CandidateSide) -> Tensor:
        """[C, K]: the logits of a batch whose items are rows of a catalogue's side."""
        batch = batch.to(self.device)
        with self.precision():
            user = self.user_side(batch, catalogue.items)
            side = catalogue.rows(batch.candidates.item_C)
            logit_CK = self.score(user, side, batch.candidates)
        return logit_CK.cpu()

    def forward(self, batch: Batch, dropout_seed: int | None = None) -> Scored:
        """The logits of a whole batch; a seed drops modalities as the configuration says."""
        batch = batch.to(self.device)
        candidates = batch.candidates
        assert batch.items is not None, "this batch is for an item side that exists already"
        with self.precision():
            items = self.item_side(batch.items, dropout_seed)
            user = self.user_side(batch, items)
            side = self.items.candidate_side(items.rows(candidates.item_C))
            logit_CK = self.score(user, side, candidates)
            return Scored(logit_CK, self._position(batch))

    def precision(self) -> torch.autocast:
        """The context that the configured precision needs; `forward` enters it by itself."""
        enabled = self.config.bfloat16
        return torch.autocast(self.device.type, torch.bfloat16, enabled=enabled)

    def state(self, with_optimizer: bool) -> dict[str, Any]:
        """Weights and tables; `load_state` becomes bit-equal to what this described."""
        tables = {name: table.state_dict(with_optimizer) for name, table in self.tables.items()}
        return {"dense": self.state_dict(), "tables": tables}

    def load_state(self, state: dict[str, Any]) -> None:
        """Become the ranker that `state` described."""
        self.load_state_dict(state["dense"])
        for name, table in self.tables.items():
            table.load_state_dict(state["tables"][name])

    def _similarities(self, content_BND: Tensor, user: UserSide) -> Tensor:
        cosine_BNT = torch.bmm(content_BND, user.content_BTD.transpose(1, 2))
        return similarity_tiers(cosine_BNT, user.mask_BS[:, 1:], user.action_BT)

    def _position(self, batch: Batch) -> Tensor | None:
        candidates = batch.candidates
        if candidates.position_C is None:
            return None
        biased_CK: Tensor = self.position(candidates.position_C, batch.surface_C)
        return biased_CK.float()

    def _rows(self, table: str, keys_N: Tensor) -> Tensor:
        rows = self.tables[table]
        read = rows.train(keys_N) if self.training else rows.read(keys_N)
        return read.to(self.device)
