"""The user tower: what a place of the history may read, and durations in buckets."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from shop import CONFIG, asked, batch_of
from torch import Tensor, nn

from headrace.model.batch import History
from headrace.model.item_factors import NUM_ENTRIES
from headrace.model.layers.item_tower import ItemSide
from headrace.model.layers.target_attention import far
from headrace.model.layers.user_tower import TIME_BUCKETS, CausalLayer, UserTower, time_bucket
from headrace.model.ranker import Ranker

NUM_REQUESTS, DIM = 4, CONFIG.dim


HEADS = pytest.mark.parametrize("num_heads", [1, 2])


def tower(num_heads: int = 2) -> UserTower:
    torch.manual_seed(3)
    return UserTower(replace(CONFIG, num_layers=2, num_attention_heads=num_heads)).eval()


def inputs() -> tuple[Tensor, History, ItemSide]:
    """Profiles, histories of 9 down to 0 events, and items with random vectors."""
    random = torch.Generator().manual_seed(1)
    batch = batch_of(*(asked(seed, num_events=9 - 3 * seed) for seed in range(NUM_REQUESTS)))
    assert batch.items is not None
    num_items = len(batch.items.key_U)
    items = ItemSide(
        torch.randn(num_items, DIM, generator=random),
        torch.randn(num_items, DIM, generator=random),
        torch.zeros(num_items, 1),
        torch.zeros(num_items, NUM_ENTRIES),
    )
    return torch.randn(NUM_REQUESTS, DIM, generator=random), batch.history, items


@torch.no_grad()
@HEADS
@pytest.mark.parametrize("changed", [0, 2, 5])
def test_a_later_event_changes_no_earlier_place(changed: int, num_heads: int) -> None:
    made, (profile_BD, history, items) = tower(num_heads), inputs()
    before_BSD = made(profile_BD, history, items)
    item_BT = history.item_BT.clone()
    item_BT[0, changed] = (item_BT[0, changed] + 1) % len(items.vector_XD)
    after_BSD = made(profile_BD, replace(history, item_BT=item_BT), items)
    differs_S = (before_BSD[0] != after_BSD[0]).any(-1)
    # Place 0 is the request; the newest event follows, so later ones are those before it.
    assert differs_S[: changed + 2].all() and not differs_S[changed + 2 :].any()
    assert torch.equal(before_BSD[1:], after_BSD[1:])


@torch.no_grad()
def test_the_profile_changes_the_request_and_no_event() -> None:
    made, (profile_BD, history, items) = tower(), inputs()
    before_BSD, after_BSD = (made(p, history, items) for p in (profile_BD, profile_BD + 1.5))
    profile_only = torch.arange(before_BSD.shape[1]) > 0
    assert torch.equal(before_BSD[:, profile_only], after_BSD[:, profile_only])


@torch.no_grad()
@HEADS
def test_without_events_the_user_is_the_profile_alone(num_heads: int) -> None:
    made, (profile_BD, history, items) = tower(num_heads), inputs()
    place_BSD = made(profile_BD, history, items)
    nothing = replace(history.newest(1), mask_BT=torch.zeros(NUM_REQUESTS, 1, dtype=torch.bool))
    alone_BSD = made(profile_BD, nothing, items)
    assert torch.allclose(place_BSD[3, 0], alone_BSD[3, 0], atol=1e-6)
    assert not torch.allclose(place_BSD[0, 0], alone_BSD[0, 0], atol=1e-3)
    assert torch.isfinite(place_BSD).all()


@torch.no_grad()
@HEADS
def test_a_layer_is_causal_attention_and_a_feed_forward(num_heads: int) -> None:
    made, random = tower(num_heads).layers[0], torch.Generator().manual_seed(2)
    assert isinstance(made, CausalLayer)
    place_BSD = torch.randn(3, 7, DIM, generator=random)
    forbidden_SS = ~torch.ones(7, 7, dtype=torch.bool).triu()
    attention = nn.MultiheadAttention(DIM, num_heads, batch_first=True)
    attention.in_proj_weight.copy_(made.read.weight)
    attention.in_proj_bias.copy_(made.read.bias)
    attention.out_proj.load_state_dict(made.out.state_dict())
    normed_BSD = made.norm_read(place_BSD)
    read_BSD, _ = attention(*[normed_BSD] * 3, attn_mask=forbidden_SS, need_weights=False)
    read_BSD = place_BSD + read_BSD
    expected_BSD = read_BSD + made.down(made.up(made.norm_feed(read_BSD)).relu())
    far_BSS = far(~forbidden_SS).expand(3, 7, 7)
    assert torch.allclose(made(place_BSD, far_BSS), expected_BSD, atol=1e-5)


@torch.no_grad()
def test_dwell_time_matters_where_it_is_given() -> None:
    made, (profile_BD, history, items) = tower(), inputs()
    short, long = (
        made(profile_BD, replace(history, dwell_BT=torch.full_like(history.age_BT, ms)), items)
        for ms in (1_000, 60_000)
    )
    assert not torch.allclose(short[0, 0], long[0, 0])


def test_a_bucket_of_time_is_a_doubling_and_the_last_is_open() -> None:
    quarter = 250
    ms = [0, quarter - 1, quarter, 2 * quarter - 1, 2 * quarter, 4 * quarter, 2**62]
    assert time_bucket(torch.tensor(ms)).tolist() == [0, 0, 1, 1, 2, 3, TIME_BUCKETS - 1]


@torch.no_grad()
def test_an_outcome_with_an_aversion_is_no_wish() -> None:
    config = replace(CONFIG, actions=("click", "hide"), aversions=("hide",))
    ranker, batch = Ranker(config).eval(), batch_of(asked(0, num_events=4))
    assert batch.items is not None
    history = replace(batch.history, action_BT=torch.tensor([[0b00, 0b01, 0b10, 0b11]]))
    user = ranker.user_side(replace(batch, history=history), ranker.item_side(batch.items))
    assert user.wish_BT.tolist() == [[0b00, 0b01, 0b00, 0b00]]


def test_a_set_of_actions_that_no_table_of_this_many_has_is_an_error() -> None:
    """Not another set: eight actions are 256 sets."""
    made, (profile_BD, history, items) = tower(), inputs()
    action_BT = torch.full_like(history.action_BT, 1 << len(CONFIG.actions))
    with pytest.raises(IndexError):
        made(profile_BD, replace(history, action_BT=action_BT), items)
