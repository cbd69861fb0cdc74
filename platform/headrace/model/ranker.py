"""FuseRank: content and behaviour in, logits per head and candidate out.

    B requests   C candidates of all requests   U distinct items   X items or candidates
    F features   D width   H hidden   K logits   S places of the history
    P width of a part   R numbers that the last layer reads

What is expensive is done where it is rare: an item's side once per weight version, a user's side
once per request; a candidate meets them in matrix products over all candidates. The first layer
of the last network is split the same way into parts of the item, of the user, of the pair and of
the features. A candidate's score does not depend on which other candidates are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from headrace.model.batch import Batch, Candidates, History, Items, Users, moved
from headrace.model.config import RankerConfig
from headrace.model.embedding.table import DynamicEmbedding, Lifetime
from headrace.model.item_factors import NUM_AFFINITIES, ItemFactors, affinities, folded
from headrace.model.layers.cross import GatedCross
from headrace.model.layers.heads import ExpertHeads, PositionBias
from headrace.model.layers.item_tower import CandidateSide, ItemCache, ItemSide, ItemTower
from headrace.model.layers.last_layer import LastLayer
from headrace.model.layers.scale import RunningScale
from headrace.model.layers.similarity import NUM_SIMILARITIES, similarity_tiers
from headrace.model.layers.target_attention import Slots, attend, far
from headrace.model.layers.user_tower import UserSide, UserTower
from headrace.model.word_bags import WordBags

NUM_PARTS = 5  # of what the pair network reads, see `Ranker.score`


@dataclass(frozen=True, slots=True)
class Scored:
    """The logits as serving sees them, and beside them the outputs that training needs."""

    logit_CK: Tensor
    network_CK: Tensor  # without what the last layer adds, which is solved, not trained
    read_CR: Tensor  # by the last layer
    position_CK: Tensor | None  # what the position in the slate adds in training


class Ranker(nn.Module):
    """The network; its embedding tables live beside its parameters and have their own rule."""

    def __init__(self, config: RankerConfig, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.config = config
        self.tables = embedding_tables(config)
        self.factors = ItemFactors.empty()
        self.items = ItemTower(config)
        self.user = UserTower(config)
        self.scale = RunningScale(config.num_dense, config.rates)
        num_features = config.num_dense + NUM_AFFINITIES
        self.linear = nn.Linear(num_features, config.num_logits)
        pair = NUM_PARTS * config.pair
        self.context = nn.Linear(num_features + NUM_SIMILARITIES, config.pair + config.hidden)
        self.cross = GatedCross(pair, config.cross_rank, config.num_cross)
        self.first = nn.Linear(pair, config.hidden, bias=False)
        self.second = nn.Linear(config.hidden, config.hidden // 2)
        self.heads = ExpertHeads(config, config.hidden // 2)
        self.position = PositionBias(config)
        nn.init.normal_(self.linear.weight, std=0.02)
        widths = pair, config.hidden, config.hidden // 2
        self.last = LastLayer(num_features, widths, config.num_logits)

    @property
    def device(self) -> torch.device:
        """Where the parameters are; the tables are always on the CPU."""
        return self.linear.weight.device

    def item_side(self, items: Items, dropout_seed: int | None = None) -> ItemSide:
        """The item side, which histories and candidates read; the same whoever asks."""
        modality_UMD, mask_UM = self.modalities(items)
        id_UD, bias_UK = self._rows("item", items.key_U), self._rows("item_bias", items.key_U)
        if dropout_seed is not None:
            mask_UM = self.items.dropped(mask_UM, dropout_seed)
        fused_UD = self.items.fusion(modality_UMD, mask_UM)
        factor_UE = self.factors.of_candidates(items.key_U).to(self.device)
        return self.items.side(fused_UD, items, id_UD, bias_UK, factor_UE)

    def modalities(self, items: Items) -> tuple[Tensor, Tensor]:
        """[U, M, D], [U, M]: a vector per modality of the items, and which of them each has."""
        return self.items.modalities(items, self._rows(WORDS, items.words.key_V))

    def user_side(self, batch: Batch, items: ItemSide) -> UserSide:
        """The user side: representations of the users' profiles and histories, once per request."""
        users, history = batch.users, batch.history.newest(self.config.history)
        attribute_BD = self._mean_of(users.words)
        if users.context is not None:
            attribute_BD = attribute_BD + self._mean_of(users.context)
        known_B = users.words.has_some_G()
        id_BD = self._rows("user", users.key_B, known_B)
        profile_BD = self.user.profile(attribute_BD) + id_BD
        place_BSD = self.user(profile_BD, history, items)
        bias_BK = self._rows("user_bias", users.key_B, known_B)
        factor_BF = self._folded(users, history)
        return self.user.side(place_BSD, users, bias_BK, factor_BF, history, items)

    def _mean_of(self, words: WordBags) -> Tensor:
        """[G, D]: the mean of the words' embeddings in each bag."""
        word_VD = self._rows(WORDS, words.key_V)
        return functional.embedding_bag(words.row_N, word_VD, words.start_G, mode="mean")

    def affinities(self, batch: Batch) -> Tensor:
        """[C, 2]: the candidates' affinities by the item factors, as `score` reads them."""
        batch = batch.to(self.device)
        assert batch.items is not None, "this batch is for an item side that exists already"
        candidates = batch.candidates
        entry_UE = self.factors.of_candidates(batch.items.key_U).to(self.device)
        user_CF = self._folded(batch.users, batch.history)[candidates.request_C]
        return affinities(user_CF, entry_UE[candidates.item_C])

    def score(self, user: UserSide, side: CandidateSide, candidates: Candidates) -> Scored:
        """The logits of the candidates, without any bias of the position."""
        slots = Slots(candidates.request_C, len(user.mask_BS))
        weight_BNS = attention(slots, user, side)
        found_CD = slots.gather(weight_BNS @ user.place_BSD)
        found_CP, compared_CP = self.user.value(found_CD).chunk(2, -1)
        similar_CX = slots.gather(self._similarities(slots.spread(side.content_XD), user))
        affinity_C2 = affinities(slots.of_request(user.factor_BF), side.factor_XE)
        dense_CF = torch.cat([self.scale(candidates.dense_CF), affinity_C2], -1)
        context_CX = self.context(torch.cat([dense_CF, similar_CX], -1))
        context_CP, hidden_CH = context_CX.split([self.config.pair, self.config.hidden], -1)
        context_CP = (context_CP + slots.of_request(user.context_BP)).relu()
        item_CP, user_CP = side.part_XP, slots.of_request(user.part_BP)
        parts = (item_CP, item_CP * user_CP, found_CP, compared_CP * item_CP, context_CP)
        crossed_CX = self.cross(torch.cat(parts, -1))
        hidden_CH = hidden_CH + self.first(crossed_CX)
        hidden_CH = (hidden_CH + side.hidden_XH + slots.of_request(user.hidden_BH)).relu()
        second_CH = self.second(hidden_CH).relu()
        network_CK = (self.heads(second_CH) + self.linear(dense_CF)).float()
        network_CK = network_CK + side.bias_XK + slots.of_request(user.bias_BK)
        read_CR = self.last.read(dense_CF, crossed_CX, hidden_CH, second_CH)
        return Scored(network_CK + self.last(read_CR), network_CK, read_CR, None)

    def cache(self, items: Items) -> ItemCache:
        """The cache of both sides of these items, which serving keeps per weight version."""
        with self.precision():
            return self.items.cache(self.item_side(moved(items, self.device)))

    def serve(self, batch: Batch, catalogue: ItemCache) -> Tensor:
        """[C, K]: the logits of a batch whose items are rows of a cache."""
        return self.served(batch, catalogue).logit_CK.cpu()

    def served(self, batch: Batch, catalogue: ItemCache) -> Scored:
        """The same, with what the last layer reads."""
        batch = batch.to(self.device)
        with self.precision():
            user = self.user_side(batch, catalogue.items)
            side = catalogue.rows(batch.candidates.item_C)
            return self.score(user, side, batch.candidates)

    def forward(self, batch: Batch, dropout_seed: int | None = None) -> Scored:
        """The logits of a whole batch; a seed drops modalities as the configuration says."""
        batch = batch.to(self.device)
        candidates = batch.candidates
        assert batch.items is not None, "this batch is for an item side that exists already"
        with self.precision():
            items = self.item_side(batch.items, dropout_seed)
            user = self.user_side(batch, items)
            side = self.items.candidate_side(items.rows(candidates.item_C))
            scored = self.score(user, side, candidates)
            return replace(scored, position_CK=self._position(batch))

    def observe(self, batch: Batch) -> None:
        """Take the features of a batch into their running scales."""
        self.scale.observe(batch.candidates.dense_CF)
        self.user.surface.observe(batch.surface_C)

    def precision(self) -> torch.autocast:
        """The context that the configured precision needs; `forward` enters it by itself."""
        enabled = self.config.bfloat16
        return torch.autocast(self.device.type, torch.bfloat16, enabled=enabled)

    def state(self, with_optimizer: bool) -> dict[str, Any]:
        """Weights, tables and factors, on the CPU; `load_state` restores them bit for bit."""
        dense = {name: tensor.cpu() for name, tensor in self.state_dict().items()}
        tables = {name: table.state_dict(with_optimizer) for name, table in self.tables.items()}
        return {"dense": dense, "tables": tables, "factors": self.factors.state()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Become the ranker that `state` described."""
        self.load_state_dict(state["dense"])
        self.factors = ItemFactors.from_state(state["factors"])
        for name, table in self.tables.items():
            table.load_state_dict(state["tables"][name])

    def _folded(self, users: Users, history: History) -> Tensor:
        """[B, F]: the users' part of the item factors."""
        known_BPE = self.factors.of(history.known_key_BP).to(self.device)
        prior_BF = self.factors.priors(users.words)
        return folded(known_BPE, history.known_grade_BP, self.factors.ridge, prior_BF)

    def _similarities(self, content_BND: Tensor, user: UserSide) -> Tensor:
        cosine_BNT = torch.bmm(content_BND, user.content_BTD.transpose(1, 2))
        return similarity_tiers(cosine_BNT, user.mask_BS[:, 1:], user.wish_BT)

    def _position(self, batch: Batch) -> Tensor | None:
        candidates = batch.candidates
        if candidates.position_C is None:
            return None
        biased_CK: Tensor = self.position(candidates.position_C, batch.surface_C)
        return biased_CK.float()

    def _rows(self, table: str, keys_N: Tensor, known_N: NDArray[np.bool_] | None = None) -> Tensor:
        rows = self.tables[table]
        read = rows.train(keys_N, known_N=known_N) if self.training else rows.read(keys_N)
        return read.to(self.device)


WORDS: Final = "token"  # what published weights and checkpoints call the table of the words


def embedding_tables(config: RankerConfig) -> dict[str, DynamicEmbedding]:
    """The tables of a ranker. Items and words are those of the catalogue; users may be anybody,
    but for those who have attributes: they are of the catalogue too."""
    dim, num_logits, rate = config.dim, config.num_logits, config.embedding_learning_rate
    known = Lifetime(expire_after=config.expire_after)
    anybody = replace(known, admit_after=config.admit_after)
    return {
        "item": DynamicEmbedding(dim, rate, lifetime=known),
        "user": DynamicEmbedding(dim, rate, lifetime=anybody),
        "item_bias": DynamicEmbedding(num_logits, rate, lifetime=known),
        "user_bias": DynamicEmbedding(num_logits, rate, lifetime=anybody),
        WORDS: DynamicEmbedding(dim, config.word_learning_rate, lifetime=known),
    }


def attention(slots: Slots, user: UserSide, side: CandidateSide) -> Tensor:
    """[B, N, S]: how much each candidate looks at the places of its user's history."""
    return attend(slots.spread(side.query_XD), user.key_BSD, far(user.mask_BS)[:, None])
