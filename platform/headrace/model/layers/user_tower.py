"""The user tower: a causal transformer over the past events, once per request.

    B requests   T past events   S = 1 + T places   D width   H hidden   K logits
    P width of a part   F factors

Place 0 is the request itself, made from the user's id and attributes; the events follow, the
newest first. A place reads itself and what is older, so a later event changes no earlier place.
The first place has read everything: it is the user. It is also what a candidate finds in the
history when no event is of interest, or when there is none.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from headrace.model.batch import History, Users
from headrace.model.config import RankerConfig
from headrace.model.layers.indexing import rows_of
from headrace.model.layers.item_tower import ItemSide
from headrace.model.layers.surface import SurfaceInput
from headrace.model.layers.target_attention import attend, far

TIME_BUCKETS = 32  # powers of two of a quarter of a second, up to 8 years


@dataclass(frozen=True, slots=True)
class UserSide:
    """The representations of users and their histories, computed once per request."""

    part_BP: Tensor  # what the pair network multiplies with the candidate's part
    hidden_BH: Tensor  # the user's part of the first layer
    bias_BK: Tensor
    context_BP: Tensor  # what the surface adds to the candidate's context
    factor_BF: Tensor  # the user's part in the products with item factors
    key_BSD: Tensor
    place_BSD: Tensor
    mask_BS: Tensor
    content_BTD: Tensor  # of the past items, for cosines
    wish_BT: Tensor  # sets of actions, none where one is an aversion


class CausalLayer(nn.Module):
    """Pre-norm self-attention and feed-forward layer."""

    def __init__(self, config: RankerConfig) -> None:
        super().__init__()
        dim, wide = config.dim, config.dim * config.feed_forward
        self._heads = config.num_attention_heads
        self.norm_read, self.norm_feed = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.read, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.up, self.down = nn.Linear(dim, wide), nn.Linear(wide, dim)

    def forward(self, place_BSD: Tensor, far_BSS: Tensor) -> Tensor:
        """[B, S, D]: the places after this layer; `far` is added to the logits of the attention."""
        read = self._with_one_head if self._heads == 1 else self._with_heads
        place_BSD = place_BSD + read(self.norm_read(place_BSD), far_BSS)
        fed: Tensor = place_BSD + self.down(self.up(self.norm_feed(place_BSD)).relu())
        return fed

    def _with_heads(self, place_BSD: Tensor, far_BSS: Tensor) -> Tensor:
        batch, length, dim = place_BSD.shape
        parts = self.read(place_BSD).chunk(3, -1)
        query, key, value = (p.view(batch, length, self._heads, -1).transpose(1, 2) for p in parts)
        mask = far_BSS[:, None].to(query.dtype)
        seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        out: Tensor = self.out(seen.transpose(1, 2).reshape(batch, length, dim))
        return out

    def _with_one_head(self, place_BSD: Tensor, far_BSS: Tensor) -> Tensor:
        """The same with half the products: the matrices of keys and values, which would be applied
        to every place, are applied to those of queries and of the output instead.

        A key's bias adds the same to the logits of all places, which a softmax does not see.
        """
        query_DD, key_DD, value_DD = self.read.weight.chunk(3)
        query_D, _, value_D = self.read.bias.chunk(3)
        query_BSD = functional.linear(place_BSD, key_DD.T @ query_DD, query_D @ key_DD)
        seen_BSD = attend(query_BSD, place_BSD, far_BSS) @ place_BSD
        return functional.linear(seen_BSD, self.out.weight @ value_DD, self.out(value_D))


class UserTower(nn.Module):
    """The user tower: profile and past events in, a representation per place and the side out."""

    def __init__(self, config: RankerConfig) -> None:
        super().__init__()
        dim = config.dim
        self.profile = nn.Linear(dim, dim)
        self.age = nn.Embedding(TIME_BUCKETS, dim)
        self.dwell = nn.Embedding(TIME_BUCKETS, dim)
        self.action = nn.Embedding(1 << len(config.actions), dim)  # a row per set of actions
        self._aversions = sum(1 << config.actions.index(name) for name in config.aversions)
        self.layers = nn.ModuleList([CausalLayer(config) for _ in range(config.num_layers)])
        self.norm = nn.LayerNorm(dim)
        self.key, self.value = nn.Linear(dim, dim), nn.Linear(dim, 2 * config.pair)
        self.part = nn.Linear(dim, config.pair)
        self.first = nn.Linear(dim, config.hidden)
        self.surface = SurfaceInput(config)
        for small in (self.age, self.dwell, self.action):
            nn.init.normal_(small.weight, std=0.02)

    def forward(self, profile_BD: Tensor, history: History, items: ItemSide) -> Tensor:
        """[B, S, D]: the places after all layers. Attributes are already in the profile."""
        event_BTD = rows_of(items.vector_XD, history.item_BT)
        event_BTD = event_BTD + rows_of(self.action.weight, history.action_BT)
        event_BTD = event_BTD + rows_of(self.age.weight, time_bucket(history.age_BT))
        if history.dwell_BT is not None:
            event_BTD = event_BTD + rows_of(self.dwell.weight, time_bucket(history.dwell_BT))
        place_BSD = torch.cat([profile_BD[:, None], event_BTD], 1)
        far_BSS = _far_from_each_other(history.mask_BT)
        for layer in self.layers:
            place_BSD = layer(place_BSD, far_BSS)
        normed_BSD: Tensor = self.norm(place_BSD)
        return normed_BSD

    def side(
        self,
        place_BSD: Tensor,
        users: Users,
        bias_BK: Tensor,
        factor_BF: Tensor,
        history: History,
        items: ItemSide,
    ) -> UserSide:
        """The user side of these places, with the surface of each request."""
        user_BD = place_BSD[:, 0]
        context_BP, of_surface_BK = self.surface(users.surface_B)
        return UserSide(
            part_BP=self.part(user_BD),
            hidden_BH=self.first(user_BD),
            bias_BK=bias_BK + of_surface_BK,
            context_BP=context_BP,
            factor_BF=factor_BF,
            key_BSD=self.key(place_BSD),
            place_BSD=place_BSD,
            mask_BS=_with_request(history.mask_BT),
            content_BTD=rows_of(items.content_XD, history.item_BT),
            wish_BT=history.action_BT.masked_fill(history.action_BT & self._aversions != 0, 0),
        )


def time_bucket(ms_X: Tensor) -> Tensor:
    """The bucket of a duration: 0 below a quarter of a second, one more with each doubling."""
    quarters_X = (ms_X.float() / 250).clamp_min(0.5)
    return (quarters_X.log2().floor().long() + 1).clamp(0, TIME_BUCKETS - 1)


def _with_request(mask_BT: Tensor) -> Tensor:
    """[B, S]: the mask with the request's own place."""
    return torch.cat([torch.ones_like(mask_BT[:, :1]), mask_BT], 1)


def _far_from_each_other(mask_BT: Tensor) -> Tensor:
    """[B, S, S]: zero where a place may read another, which is itself or an older event.

    Later places are twice as far as those without an event: these, too, read nothing later.
    """
    far_B1S = far(_with_request(mask_BT))[:, None]
    size = far_B1S.shape[-1]
    older_SS = torch.ones(size, size, dtype=torch.bool, device=mask_BT.device).triu()
    return far_B1S + 2 * far(older_SS)
