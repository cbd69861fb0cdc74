"""An item in no catalogue is trained as it is served: as the unknown item, wherever it stands."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from headrace.catalogue.item import Item
from headrace.catalogue.table.table import table_of
from headrace.catalogue.words import ContentTable
from headrace.features.inputs import HISTORY_LENGTH, NUM_DENSE, RequestFeatures
from headrace.keys import key
from headrace.learning.learner import OnlineLearner
from headrace.model.batch import BatchRequest, make_batch
from headrace.model.config import nano
from headrace.slates.cached_items import CachedItems

ITEMS = {f"i{n}": Item(f"i{n}", f"film {n % 3}", ("drama",)) for n in range(12)}
CATALOGUE = table_of(ITEMS.values())
CONTENT = ContentTable(CATALOGUE)


def asked(number: int, items: tuple[str, ...], past: tuple[str, ...]) -> BatchRequest:
    random = np.random.default_rng(number)
    history_3T = np.zeros((3, HISTORY_LENGTH), np.int64)
    history_3T[0, : len(past)] = [key(item_id) for item_id in past]
    history_3T[1, : len(past)], history_3T[2, : len(past)] = 60_000, 1
    dense_NF = random.normal(0, 1, (len(items), NUM_DENSE)).astype(np.float32)
    clicked_N = random.integers(0, 2, len(items))
    return BatchRequest(
        user_key=key("ann"),
        user_words=(key("user:age=3"),),
        item_keys=tuple(map(key, items)),
        features=RequestFeatures(dense_NF, history_3T),
        label_NJ=clicked_N.astype(np.float32)[:, None],
        outcome_N=clicked_N,
    )


@pytest.fixture(scope="module")
def learner() -> OnlineLearner:
    """Trained on items of the catalogue and on others, until there are item factors."""
    made = OnlineLearner(nano(NUM_DENSE), seed=0, window=100)
    for number in range(30):
        items = (*(f"i{(number + n) % 12}" for n in range(10)), *(f"x{n}" for n in range(40)))
        requests = [asked(number + 100 * n, items, ("i1", f"x{n}", "i4")) for n in range(4)]
        made.learn(make_batch(requests, CONTENT, made.ranker.config.history))
    assert made.ranker.factors.key_I.min() > 0 and len(made.ranker.factors.key_I) == 12
    made.ranker.eval()
    return made


@pytest.mark.parametrize("past", [("i2", "i3"), ("x1", "i2", "stranger"), ("stranger",)])
def test_unknown_items_are_trained_as_they_are_served(
    learner: OnlineLearner, past: tuple[str, ...]
) -> None:
    ranker, request = learner.ranker, asked(999, ("i1", "x1", "i7", "never seen"), past)
    with torch.inference_mode():
        trained = ranker(make_batch([request], CONTENT, ranker.config.history)).logit_CK.numpy()
    history_T = CATALOGUE.rows_of_keys(request.features.history_3T[0])
    rows_C = CATALOGUE.rows_of_keys(request.item_keys)
    served = CachedItems(ranker, CONTENT, CATALOGUE.keys).logits(request, history_T, rows_C)
    np.testing.assert_allclose(served, trained, rtol=1e-4, atol=1e-5)
    assert rows_C[1] == rows_C[3] == 0


def test_an_unknown_item_is_expected_to_be_like_all(learner: OnlineLearner) -> None:
    factors = learner.ranker.factors
    unknown_E = factors.of_candidates(torch.tensor([0, key("stranger")]))
    assert unknown_E[0].tolist() == unknown_E[1].tolist() != [0] * len(unknown_E[0])
    assert not factors.of(torch.tensor([0])).any()  # no event says nothing of a user
