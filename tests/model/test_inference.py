"""Inference for one request gives what the ranker's own forward does, whatever it is made of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from shop import CONFIG, ITEMS, MAX_EVENTS, RICH, asked, batch_of, rich_batch, rich_content

from headrace.catalogue.words import ContentTable, user_word_keys
from headrace.keys import key
from headrace.learning.learner import OnlineLearner
from headrace.model.batch import BatchRequest, make_batch, make_items
from headrace.model.config import RankerConfig
from headrace.model.inference.affine import Floats
from headrace.model.inference.request import RequestRanker
from headrace.model.inference.user import PastItems
from headrace.model.item_factors import NUM_ENTRIES, ItemFactors
from headrace.model.ranker import Ranker

DEEP = replace(RICH, num_layers=2, num_attention_heads=2, num_cross=2, rates=(0, 3), history=7)
CLOSE = {"rtol": 1e-4, "atol": 2e-5}


def ranker_of(config: RankerConfig) -> Ranker:
    """One that has learned a little, and knows factors of some items and attributes."""
    made, random = OnlineLearner(config, seed=3, window=1_000), np.random.default_rng(0)
    for step in range(4):
        batch = rich_batch(10 * step) if config.surfaces else batch_of(asked(step), asked(9))
        made.learn(batch)
    made.ranker.last.weight_RK.normal_(std=0.1)
    key_I = np.sort([key(item_id) for item_id in list(ITEMS)[::2]])
    key_A = np.sort(user_word_keys(("age=30", "city=1")))
    entry_IE = random.random((len(key_I), NUM_ENTRIES), np.float32)
    entry_IE[:, -2] = 1
    attribute_AF = random.normal(0, 1, (len(key_A), NUM_ENTRIES - 1)).astype(np.float32)
    made.ranker.factors = ItemFactors(key_I, entry_IE, key_A, attribute_AF, 0.4, 3.0)
    return made.ranker.eval()


@torch.no_grad()
def inferred(ranker: Ranker, content: ContentTable, request: BatchRequest) -> Floats:
    """The logits by inference, against items that are computed for it."""
    made = RequestRanker(ranker)
    past = request.features.history_3T[0, : made.num_past(request)]
    keys = content.known_keys(np.concatenate([past, request.item_keys]))
    cache = ranker.cache(make_items(keys, content))
    vector_XD, content_XD = cache.items.vector_XD.numpy(), cache.items.content_XD.numpy()
    known = PastItems(vector_XD[: len(past)], content_XD[: len(past)])
    side_XY = cache.candidate_XY.numpy()[len(past) :]
    return made.logits(request, known, np.split(side_XY, np.cumsum(cache.widths)[:-1], axis=1))


@pytest.mark.parametrize("config", [CONFIG, RICH, DEEP], ids=["plain", "rich", "deep"])
def test_logits_are_those_of_the_rankers_own_forward(config: RankerConfig) -> None:
    ranker = ranker_of(config)
    content = rich_content() if config.content_widths else ContentTable(ITEMS)
    for seed, num_events in enumerate([0, 1, 5, MAX_EVENTS, MAX_EVENTS]):
        one = asked(seed, num_items=30, num_events=num_events).request()
        one = replace(one, surface=seed % 3 if config.surfaces else 0)
        if seed == 4:  # events without an item between others, and words that a request told
            one.features.history_3T[0, [1, 4]] = 0
            one = replace(one, context_words=user_word_keys(("age=30",)))
        with torch.no_grad():
            expected = ranker(make_batch([one], content, config.history)).logit_CK.numpy()
        logit_CK = inferred(ranker, content, one)
        np.testing.assert_allclose(logit_CK, expected, **CLOSE)
        assert logit_CK.std() > 1e-3


def test_a_candidates_logits_do_not_depend_on_the_others() -> None:
    ranker, content = ranker_of(CONFIG), ContentTable(ITEMS)
    one = asked(5, num_items=20)
    together = inferred(ranker, content, one.request())
    for number in range(0, 20, 7):
        alone = inferred(ranker, content, one.only(number).request())
        np.testing.assert_allclose(alone[0], together[number], **CLOSE)
