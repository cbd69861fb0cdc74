"""Explanations: what is said of a logit is true of the ranker that made it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from shop import RICH, rich_batch

from headrace.learning.learner import OnlineLearner
from headrace.model.batch import Batch
from headrace.model.explain import Explanation, explain
from headrace.model.layers.fusion import FUSIONS
from headrace.model.ranker import Ranker

GROUPS = {"first": (0,), "others": (1, 2, 3, 4)}
NAMES = {"history", "user", "item_id", "content", "first", "others"}


def trained(fusion: str = "gated", steps: int = 6) -> Ranker:
    made = OnlineLearner(replace(RICH, fusion=fusion), seed=3, window=1_000)
    for step in range(steps):
        made.learn(rich_batch(10 * step))
    return made.ranker.eval()


@pytest.fixture(scope="module")
def ranker() -> Ranker:
    return trained()


@pytest.fixture(scope="module")
def batch() -> Batch:
    return rich_batch(500)


@pytest.fixture(scope="module")
def explained(ranker: Ranker, batch: Batch) -> list[Explanation]:
    return explain(ranker, batch, GROUPS)


def test_each_candidate_is_explained_with_its_own_logit(
    ranker: Ranker, batch: Batch, explained: list[Explanation]
) -> None:
    with torch.no_grad():
        logit_CK = ranker(batch).logit_CK
    for column, head in enumerate(("click", "long_view", "conversion")):
        logits = [one.logit for one in explain(ranker, batch, {}, head)]
        assert logits == pytest.approx(logit_CK[:, column].tolist(), abs=1e-5)
    assert all(one.effects.keys() == NAMES for one in explained)


def test_attention_shares_out_one_among_the_events_and_the_profile(
    batch: Batch, explained: list[Explanation]
) -> None:
    for request, one in zip(batch.candidates.request_C.tolist(), explained, strict=True):
        there_T = batch.history.mask_BT[request].tolist()
        weights = zip(one.attention_T, there_T, strict=True)
        assert all((weight > 0) == there for weight, there in weights)
        assert one.attention_profile + sum(one.attention_T) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_modalities_share_out_one_among_those_an_item_has(fusion: str, batch: Batch) -> None:
    ranker = trained(fusion, steps=1)
    assert batch.items is not None
    with torch.no_grad():
        _, mask_UM = ranker.modalities(batch.items)
    items = batch.candidates.item_C.tolist()
    for item, one in zip(items, explain(ranker, batch, {}), strict=True):
        assert list(one.modality_weights) == [
            *("title", "categories", "attributes"),
            *("vector_0", "vector_1"),
        ]
        has = mask_UM[item].tolist()
        weights = list(one.modality_weights.values())
        assert not any(w for w, there in zip(weights, has, strict=True) if not there)
        assert sum(weights) == pytest.approx(float(any(has)), abs=1e-4)


def test_a_group_that_the_ranker_ignores_has_no_effect(batch: Batch) -> None:
    deaf = trained()
    deaf.linear.weight.data[:, 0] = 0
    deaf.context.weight.data[:, 0] = 0
    for one in explain(deaf, batch, GROUPS):
        assert one.effects["first"] == 0 and one.effects["others"] != 0


def test_a_group_that_is_already_missing_has_no_effect(
    batch: Batch, explained: list[Explanation]
) -> None:
    for request, one in zip(batch.candidates.request_C.tolist(), explained, strict=True):
        has_history = bool(batch.history.mask_BT[request].any())
        assert (abs(one.effects["history"]) > 1e-6) == has_history


def test_the_effect_of_a_dense_feature_follows_its_weight(batch: Batch) -> None:
    """Where only the linear part reads a feature, its effect is the weight times the value."""
    ranker = trained()
    ranker.context.weight.data[:, 0] = 0
    ranker.linear.weight.data[0, 0] = 0.25
    scaled_C = ranker.scale(batch.candidates.dense_CF)[:, 0].tolist()
    effects = [one.effects["first"] for one in explain(ranker, batch, GROUPS)]
    assert effects == pytest.approx([0.25 * value for value in scaled_C], abs=1e-5)


def test_a_ranker_explains_the_same_twice_and_stays_as_it_was(
    ranker: Ranker, batch: Batch, explained: list[Explanation]
) -> None:
    sizes = {name: len(table) for name, table in ranker.tables.items()}
    assert explain(ranker, batch, GROUPS) == explained
    assert {name: len(table) for name, table in ranker.tables.items()} == sizes
