"""The ranker: content and behaviour in, one click logit per candidate out.

    B requests   C candidates of all requests   U distinct items   T history   M modalities
    L tokens   F features   D width   H hidden

An item's vector is made once per weight version from its content tokens, fused, plus its id
embedding; a user's side is made once per request; candidates meet the user's history by dot-product
attention. A candidate's score does not depend on which other candidates are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from headrace.features.assemble import NUM_DENSE
from headrace.model.batch import Batch
from headrace.model.embedding import DynamicEmbedding
from headrace.model.tokens import MODALITIES

AGE_BUCKETS = 24  # powers of two of seconds: 1 s to half a year


@dataclass(frozen=True, slots=True)
class RankerConfig:
    """Sizes and learning rates; saved with every published version."""

    dim: int = 24
    hidden: int = 64
    embedding_learning_rate: float = 0.05
    token_learning_rate: float = 0.05
    dense_learning_rate: float = 2e-3
    weight_decay: float = 1e-4


@dataclass(frozen=True, slots=True)
class ItemSide:
    """What is computed once per item and weight version."""

    vector_UD: Tensor
    bias_U: Tensor


@dataclass(frozen=True, slots=True)
class UserSide:
    """What is computed once per request."""

    user_BD: Tensor
    bias_B: Tensor
    key_BTD: Tensor
    value_BTD: Tensor
    mask_BT: Tensor


class RunningScale(nn.Module):
    """Brings features to zero mean and unit variance, by the moments of what it has trained on."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.register_buffer("count", torch.tensor(1.0))
        self.register_buffer("mean_F", torch.zeros(num_features))
        self.register_buffer("second_F", torch.ones(num_features))
        self.count: Tensor
        self.mean_F: Tensor
        self.second_F: Tensor

    def forward(self, dense_CF: Tensor) -> Tensor:
        scale_F = (self.second_F / self.count).clamp_min(1e-4).rsqrt()
        return ((dense_CF - self.mean_F) * scale_F).clamp(-5, 5)

    @torch.no_grad()
    def observe(self, dense_CF: Tensor) -> None:
        """Take in a batch (Chan's parallel update of mean and second moment)."""
        rows = len(dense_CF)
        delta_F = dense_CF.mean(0) - self.mean_F
        total = self.count + rows
        self.second_F += dense_CF.var(0, correction=0) * rows
        self.second_F += delta_F.square() * self.count * rows / total
        self.mean_F += delta_F * rows / total
        self.count.copy_(total)


class GatedFusion(nn.Module):
    """Content tokens to one vector: a softmax over the modalities that are present."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gate = nn.Linear(dim, 1)
        self.modality_M = nn.Parameter(torch.zeros(len(MODALITIES)))
        self.missing_D = nn.Parameter(torch.zeros(dim))

    def forward(self, tokens_BMD: Tensor, mask_BM: Tensor) -> Tensor:
        """[B, D]; an item without any modality gets the learned vector for that."""
        logit_BM = self.gate(tokens_BMD).squeeze(-1) + self.modality_M
        weight_BM = logit_BM.masked_fill(~mask_BM, -1e4).softmax(-1) * mask_BM
        fused_BD = (weight_BM[..., None] * tokens_BMD).sum(1)
        return torch.where(mask_BM.any(1, keepdim=True), fused_BD, self.missing_D)


class Ranker(nn.Module):
    """The network; its embedding tables live beside its parameters and have their own rule."""

    def __init__(self, config: RankerConfig, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.config, dim = config, config.dim
        self.tables = {
            "item": DynamicEmbedding(dim, config.embedding_learning_rate),
            "user": DynamicEmbedding(dim, config.embedding_learning_rate),
            "item_bias": DynamicEmbedding(1, config.embedding_learning_rate),
            "user_bias": DynamicEmbedding(1, config.embedding_learning_rate),
            "token": DynamicEmbedding(dim, config.token_learning_rate),
        }
        self.fusion = GatedFusion(dim)
        self.content = nn.Linear(dim, dim)
        self.profile = nn.Linear(dim, dim)
        self.age = nn.Embedding(AGE_BUCKETS, dim)
        self.clicked = nn.Embedding(2, dim)
        self.query, self.key = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.scale = RunningScale(NUM_DENSE)
        self.linear = nn.Linear(NUM_DENSE, 1)
        self.deep = nn.Sequential(
            nn.Linear(5 * dim + NUM_DENSE, config.hidden),
            nn.ReLU(),
            nn.Linear(config.hidden, config.hidden // 2),
            nn.ReLU(),
            nn.Linear(config.hidden // 2, 1),
        )
        for small in (self.age.weight, self.clicked.weight, self.linear.weight):
            nn.init.normal_(small, std=0.02)

    def item_side(self, item_key_U: Tensor, token_UML: Tensor) -> ItemSide:
        """The vectors and biases of items, the same whoever asks."""
        mask_UML = token_UML != 0
        count_UM1 = mask_UML.sum(-1, keepdim=True).clamp_min(1)
        token_UMD = self._rows("token", token_UML).sum(2) / count_UM1
        fused_UD = self.fusion(token_UMD, mask_UML.any(-1))
        vector_UD = self.content(fused_UD) + self._rows("item", item_key_U)
        return ItemSide(vector_UD, self._rows("item_bias", item_key_U).squeeze(-1))

    def user_side(self, batch: Batch, items: ItemSide) -> UserSide:
        """The user's profile and the keys and values of the history, once per request."""
        history_BTD = items.vector_UD[batch.history_item_BT]
        mask_BA1 = (batch.user_token_BA != 0)[..., None]
        profile_BD = self._rows("token", batch.user_token_BA).sum(1) / mask_BA1.sum(1).clamp_min(1)
        user_BD = self.profile(profile_BD) + self._rows("user", batch.user_key_B)
        seconds_BT = (batch.history_age_BT / 1_000).clamp_min(1).log2()
        age_BT = seconds_BT.long().clamp(0, AGE_BUCKETS - 1)
        event_BTD = history_BTD + self.clicked(batch.history_clicked_BT)
        event_BTD = event_BTD + self.age(age_BT)
        return UserSide(
            user_BD,
            self._rows("user_bias", batch.user_key_B).squeeze(-1),
            self.key(event_BTD),
            self.value(event_BTD),
            batch.history_mask_BT,
        )

    def score(self, user: UserSide, batch: Batch, items: ItemSide) -> Tensor:
        """[C]: click logits of the candidates."""
        item_CD, request_C = items.vector_UD[batch.item_C], batch.request_C
        attended_CD = self._attend(self.query(item_CD), user, request_C)
        user_CD = user.user_BD[request_C]
        dense_CF = self.scale(batch.dense_CF)
        inputs = (item_CD, user_CD, user_CD * item_CD, attended_CD, attended_CD * item_CD, dense_CF)
        logit_C1 = self.deep(torch.cat(inputs, -1)) + self.linear(dense_CF)
        bias_C = items.bias_U[batch.item_C] + user.bias_B[request_C]
        logit_C: Tensor = logit_C1.squeeze(-1) + bias_C
        return logit_C

    def forward(self, batch: Batch) -> Tensor:
        """[C]: click logits of a whole batch."""
        items = self.item_side(batch.item_key_U, batch.item_token_UML)
        return self.score(self.user_side(batch, items), batch, items)

    def _attend(self, query_CD: Tensor, user: UserSide, request_C: Tensor) -> Tensor:
        """[C, D]: what each candidate finds in its user's history; zeros where that is empty."""
        scale = self.config.dim**-0.5
        if len(user.user_BD) == 1:  # one request: two matrix products serve all candidates
            logit_CT = query_CD @ user.key_BTD[0].T * scale
            mask_CT = user.mask_BT.expand(len(query_CD), -1)
            weight_CT = logit_CT.masked_fill(~mask_CT, -1e4).softmax(-1) * mask_CT
            attended_CD: Tensor = weight_CT @ user.value_BTD[0]
            return attended_CD
        mask_CT = user.mask_BT[request_C]
        logit_CT = torch.einsum("cd,ctd->ct", query_CD, user.key_BTD[request_C]) * scale
        weight_CT = logit_CT.masked_fill(~mask_CT, -1e4).softmax(-1) * mask_CT
        return torch.einsum("ct,ctd->cd", weight_CT, user.value_BTD[request_C])

    def state(self, with_optimizer: bool) -> dict[str, Any]:
        """Weights and tables; `load_state` becomes bit-equal to what this described."""
        tables = {name: table.state_dict(with_optimizer) for name, table in self.tables.items()}
        return {"dense": self.state_dict(), "tables": tables}

    def load_state(self, state: dict[str, Any]) -> None:
        """Become the ranker that `state` described."""
        self.load_state_dict(state["dense"])
        for name, table in self.tables.items():
            table.load_state_dict(state["tables"][name])

    def _rows(self, table: str, keys_N: Tensor) -> Tensor:
        rows = self.tables[table]
        return rows.train(keys_N) if self.training else rows.read(keys_N)
