"""The ranker: what a score may depend on, what it may not, and that everything in it learns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from shop import (
    CONFIG,
    CONTENT,
    ITEMS,
    MAX_EVENTS,
    RICH,
    Asked,
    asked,
    batch_of,
    rich_batch,
    rich_content,
    round_trip,
)
from torch import Tensor

from headrace.features.inputs import RequestFeatures
from headrace.keys import key
from headrace.learning.learner import OnlineLearner
from headrace.model.batch import Batch, BatchRequest, make_items, make_request_batch
from headrace.model.config import RankerConfig
from headrace.model.layers.fusion import FUSIONS
from headrace.model.ranker import Ranker

KEY_I = np.array([0, *(key(item_id) for item_id in ITEMS)], dtype=np.int64)
ROW_OF = {item_key: row for row, item_key in enumerate(KEY_I.tolist())}


def trained(config: RankerConfig = CONFIG, steps: int = 20) -> OnlineLearner:
    """A learner that has trained on enough for every table to hold something."""
    made = OnlineLearner(config, seed=3, window=1_000)
    for step in range(steps):
        made.learn(batch_of(*(asked(4 * step + n, num_events=3 * n) for n in range(4))))
    made.ranker.last.weight_RK.normal_(std=0.1)  # which it solves after many more samples
    return made


def rich_trained(config: RankerConfig = RICH, steps: int = 8) -> OnlineLearner:
    made = OnlineLearner(config, seed=3, window=1_000)
    for step in range(steps):
        made.learn(rich_batch(10 * step))
    made.ranker.last.weight_RK.normal_(std=0.1)  # which it solves after many more samples
    return made


@pytest.fixture(scope="module")
def ranker() -> Ranker:
    return trained().ranker.eval()


@pytest.fixture(scope="module")
def rich() -> Ranker:
    return rich_trained().ranker.eval()


@torch.no_grad()
def logits(ranker: Ranker, *requests: Asked) -> Tensor:
    scored: Tensor = ranker(batch_of(*requests)).logit_CK[:, 0]
    return scored


def close(one: Tensor, other: Tensor) -> bool:
    """Equal but for the order of additions in matrix products of other sizes."""
    return torch.allclose(one, other, rtol=1e-4, atol=1e-5)


def test_a_score_does_not_depend_on_the_other_candidates_of_its_request(ranker: Ranker) -> None:
    one = asked(101, num_items=8)
    together_C = logits(ranker, one)
    for number in range(8):
        assert close(logits(ranker, one.only(number)), together_C[number : number + 1])
    assert close(logits(ranker, one.only(5, 2, 7)), together_C[[5, 2, 7]])
    assert together_C.std() > 1e-3


def test_a_score_does_not_depend_on_the_other_requests_of_its_batch(ranker: Ranker) -> None:
    requests = [asked(seed, num_items=seed % 4 + 1, num_events=seed % 9) for seed in range(9)]
    alone_C = torch.cat([logits(ranker, one) for one in requests])
    assert close(logits(ranker, *requests), alone_C)
    backwards_C = logits(ranker, *requests[::-1])
    sizes = [len(one.items) for one in requests]
    assert close(torch.cat(backwards_C.split(sizes[::-1])[::-1]), alone_C)


def served(one: Asked) -> tuple[Asked, Batch]:
    """The request with what the catalogue has, and its batch of catalogue rows."""
    one = one.only(*(n for n, item_id in enumerate(one.items) if item_id in ITEMS))
    history_3T = one.features.history_3T
    history_3T[:, [item not in ROW_OF for item in history_3T[0].tolist()]] = 0
    asking = BatchRequest(one.request().user_key, one.request().user_words, (), one.features)
    history_rows_T = np.array([ROW_OF[item] for item in history_3T[0].tolist()])
    return one, make_request_batch(
        asking, history_rows_T, np.array([ROW_OF[key(item_id)] for item_id in one.items])
    )


@torch.no_grad()
@pytest.mark.parametrize("num_events", [0, 1, MAX_EVENTS])
def test_serving_from_the_cache_scores_as_training_does(ranker: Ranker, num_events: int) -> None:
    one, batch = served(asked(55, num_items=9, num_events=num_events))
    cache = ranker.cache(make_items(KEY_I, CONTENT))
    served_C = ranker.serve(batch, cache)[:, 0]
    assert len(served_C) > 3 and close(served_C, logits(ranker, one))


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_cached_item_is_the_same_as_one_computed_again(fusion: str) -> None:
    ranker, content = (
        rich_trained(replace(RICH, fusion=fusion), steps=2).ranker.eval(),
        rich_content(),
    )
    rows_C = torch.tensor([7, 3, 12, 3])
    with torch.no_grad():
        cache = ranker.cache(make_items(KEY_I, content))
        again = ranker.cache(make_items(KEY_I[rows_C], content))
    kept, fresh = cache.rows(rows_C), again.rows(torch.arange(4))
    for name in ("query_XD", "content_XD", "part_XP", "hidden_XH", "bias_XK"):
        assert close(getattr(kept, name), getattr(fresh, name)), name
    assert kept.hidden_XH.std() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("num_requests", [1, 3])
def test_what_lies_in_empty_history_slots_does_not_matter(
    ranker: Ranker, num_requests: int
) -> None:
    batch = batch_of(*(asked(seed, num_events=3 * seed + 2) for seed in range(num_requests)))
    history = batch.history
    gaps_BT = torch.rand(history.mask_BT.shape, generator=torch.Generator().manual_seed(1)) < 0.5
    history = replace(history, mask_BT=history.mask_BT & ~gaps_BT)
    other = replace(
        history,
        item_BT=torch.where(history.mask_BT, history.item_BT, 1),
        age_BT=torch.where(history.mask_BT, history.age_BT, 10**9),
        action_BT=torch.where(history.mask_BT, history.action_BT, 1),
    )
    assert not torch.equal(history.item_BT, other.item_BT)
    one, another = (ranker(replace(batch, history=h)).logit_CK for h in (history, other))
    assert torch.equal(one, another)


def test_the_history_matters(ranker: Ranker) -> None:
    one = asked(7, num_events=6)
    before_C = logits(ranker, one)
    for row, change in ((0, key("i3")), (1, 1), (2, 1)):
        changed = one.features.history_3T.copy()
        changed[row, :6] = change
        features = RequestFeatures(one.features.dense_NF, changed)
        assert not close(logits(ranker, replace(one, features=features)), before_C)


@torch.no_grad()
def test_the_tower_reads_as_many_events_as_configured_and_the_factors_all(ranker: Ranker) -> None:
    short = Ranker(replace(CONFIG, history=4)).eval()
    short.load_state(ranker.state(with_optimizer=False))
    one = asked(9, num_events=9)
    kept = one.features.history_3T.copy()
    kept[:, 4:] = 0
    short_past = RequestFeatures(one.features.dense_NF, kept)
    whole, cut = batch_of(one), batch_of(replace(one, features=short_past))
    assert not close(short(whole).logit_CK, short(cut).logit_CK)
    whole, cut = unknown_to_factors(whole), unknown_to_factors(cut)
    assert close(short(whole).logit_CK, ranker(cut).logit_CK)
    assert not close(short(whole).logit_CK, ranker(whole).logit_CK)


def unknown_to_factors(batch: Batch) -> Batch:
    """The same requests, with a history that only the tower sees."""
    no_key_BP = torch.zeros_like(batch.history.known_key_BP)
    return replace(batch, history=replace(batch.history, known_key_BP=no_key_BP))


@pytest.mark.parametrize("fresh", [True, False], ids=["untrained", "trained"])
def test_missing_content_and_an_empty_history_give_a_score(ranker: Ranker, fresh: bool) -> None:
    scorer = Ranker(CONFIG, seed=1).eval() if fresh else ranker
    bare = replace(asked(1, num_events=0), items=("i0", "i4", "unheard", "of", "i8"), attributes=())
    unheard = replace(bare, user="nobody")
    scored = [logits(scorer, bare), logits(scorer, unheard), logits(scorer, bare, unheard, bare)]
    assert all(torch.isfinite(logit_C).all() for logit_C in scored)


def test_any_age_of_a_history_event_gives_a_score(ranker: Ranker) -> None:
    one = asked(2, num_events=4)
    one.features.history_3T[1, :4] = [0, 1, 2**62, 2**40]
    assert torch.isfinite(logits(ranker, one)).all()


def test_scoring_leaves_the_tables_as_they_were(ranker: Ranker) -> None:
    sizes = {name: len(table) for name, table in ranker.tables.items()}
    logits(ranker, replace(asked(3), user="a stranger", items=("n1", "n2", "n3", "n4", "n5")))
    assert {name: len(table) for name, table in ranker.tables.items()} == sizes


@pytest.mark.parametrize("with_optimizer", [True, False])
def test_a_loaded_ranker_scores_bit_equal(rich: Ranker, with_optimizer: bool) -> None:
    loaded = Ranker(RICH, seed=99).eval()
    batch = rich_batch(200)
    with torch.no_grad():
        assert not close(loaded(batch).logit_CK, rich(batch).logit_CK)
        loaded.load_state(round_trip(rich.state(with_optimizer)))
        assert torch.equal(loaded(batch).logit_CK, rich(batch).logit_CK)


def test_the_seed_decides_the_first_weights() -> None:
    one, same, other = (Ranker(CONFIG, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


@torch.no_grad()
def test_the_position_has_no_effect_on_what_is_served(rich: Ranker) -> None:
    batch = rich_batch(40)
    here, there = (rich(elsewhere(batch, position=n)) for n in (0, 30))
    assert torch.equal(here.logit_CK, there.logit_CK)
    assert not torch.allclose(here.position_CK, there.position_CK)


@torch.no_grad()
def test_the_surface_counts_once_it_has_been_learned(rich: Ranker) -> None:
    batch = rich_batch(40)
    for ranker, counts in ((Ranker(RICH).eval(), False), (rich, True)):
        on_1, on_2 = (ranker(elsewhere(batch, surface=n)).logit_CK for n in (1, 2))
        assert close(on_1, on_2) != counts


def elsewhere(batch: Batch, position: int = 0, surface: int = 0) -> Batch:
    """The same requests, in this place of the slate and on this surface."""
    users, candidates = batch.users, batch.candidates
    return replace(
        batch,
        users=replace(users, surface_B=torch.full_like(users.surface_B, surface)),
        candidates=replace(candidates, position_C=torch.full_like(candidates.item_C, position)),
    )


@torch.no_grad()
def test_an_unknown_position_adds_nothing(rich: Ranker) -> None:
    batch = rich_batch(40)
    unknown_C = batch.candidates.position_C == -1
    position_CK = rich(batch).position_CK
    assert unknown_C.any() and not position_CK[unknown_C].any() and position_CK[~unknown_C].any()
    nowhere = replace(batch, candidates=replace(batch.candidates, position_C=None))
    assert rich(nowhere).position_CK is None


@torch.no_grad()
def test_content_vectors_matter_where_the_mask_has_them_and_nowhere_else(rich: Ranker) -> None:
    batch = rich_batch(60)
    items = batch.items
    assert items is not None and items.vector_UMW is not None and items.mask_UM is not None
    before_CK = rich(batch).logit_CK
    assert torch.isfinite(before_CK).all()
    for there, expected in ((True, False), (False, True)):
        chosen_UM1 = (items.mask_UM == there)[..., None]
        other_UMW = torch.where(chosen_UM1, 0.7, items.vector_UMW)
        other = replace(batch, items=replace(items, vector_UMW=other_UMW))
        assert torch.equal(rich(other).logit_CK, before_CK) is expected


@torch.no_grad()
def test_a_batch_without_any_content_vectors_is_one_in_which_all_are_missing(rich: Ranker) -> None:
    without = rich_batch(60, content=CONTENT)
    batch = rich_batch(60)
    assert batch.items is not None and batch.items.mask_UM is not None
    nothing_UM = torch.zeros_like(batch.items.mask_UM)
    masked = replace(batch, items=replace(batch.items, mask_UM=nothing_UM))
    one, other = rich.item_side(without.items), rich.item_side(masked.items)
    assert torch.equal(one.vector_XD, other.vector_XD)
    assert torch.isfinite(rich(without).logit_CK).all()


def test_dropped_modalities_follow_from_the_seed_and_only_there() -> None:
    ranker = rich_trained(replace(RICH, modality_dropout=0.5)).ranker.eval()
    batch = rich_batch(70)
    with torch.no_grad():
        plain, one, same, other = (ranker(batch, seed).logit_CK for seed in (None, 1, 1, 2))
        assert torch.equal(one, same)
        assert not close(one, other) and not close(one, plain)
        never = Ranker(RICH).eval()
        never.load_state(ranker.state(with_optimizer=False))
        assert torch.equal(never(batch, 1).logit_CK, plain)


def test_in_bfloat16_scores_stay_near_and_training_works() -> None:
    exact, short = (rich_trained(replace(RICH, bfloat16=b)).ranker.eval() for b in (False, True))
    short.load_state(exact.state(with_optimizer=False))
    batch = rich_batch(90)
    with torch.no_grad():
        exact_CK, short_CK = exact(batch).logit_CK, short(batch).logit_CK
    assert short_CK.dtype == torch.float32 and not torch.equal(exact_CK, short_CK)
    assert (exact_CK - short_CK).abs().max() < 0.2 + 0.1 * exact_CK.abs().max()
