"""Embeddings have bounds: what the settings say of users that anybody may make up, and of items."""

from __future__ import annotations

import numpy as np
import pytest

from headrace import config
from headrace.catalogue.item import Item
from headrace.catalogue.vectors import ContentVectors
from headrace.catalogue.words import ContentTable
from headrace.features.inputs import HISTORY_LENGTH, NUM_DENSE
from headrace.features.schema import INPUT_SCHEMA
from headrace.keys import key
from headrace.learning.learner import OnlineLearner
from headrace.model.batch import batch_of_samples
from headrace.sample import SEQUENCE_KNOWN, Sample
from trainers.recipe import ranker_config

CONTENT = ContentTable({f"i{n}": Item(f"i{n}", f"film {n % 3}") for n in range(8)})
PER_REQUEST = 4
USER_TABLES, ITEM_TABLES = ("user", "user_bias"), ("item", "item_bias")


def sample(number: int, user: str, *items: str, attributes: tuple[int, ...] = ()) -> Sample:
    random = np.random.default_rng(number)
    dense_NF = random.normal(0, 1, (len(items), NUM_DENSE)).astype("<f4")
    return Sample(
        source_partition=0,
        source_offset=number,
        sequence=SEQUENCE_KNOWN,
        schema=INPUT_SCHEMA,
        request_id=f"r{number}",
        event_time_ms=number,
        arrival_ms=number,
        user_key=key(user),
        user_word_keys=attributes,
        item_keys=tuple(map(key, items)),
        outcomes=tuple(random.integers(0, 2, len(items)).tolist()),
        labelled=1,
        dense=dense_NF.tobytes(),
        history=np.zeros((3, HISTORY_LENGTH), np.int64).tobytes(),
    )


def learner(**settings: object) -> OnlineLearner:
    given = config.settings(**settings)
    return OnlineLearner(ranker_config(given, ContentVectors()), seed=0, window=100)


def learn(one: OnlineLearner, *samples: Sample) -> None:
    one.learn(batch_of_samples(samples, CONTENT, one.ranker.config))


def sizes(one: OnlineLearner, *tables: str) -> list[int]:
    return [len(one.ranker.tables[name]) for name in tables]


def test_a_user_nobody_announced_has_embeddings_when_he_comes_again() -> None:
    by_default = learner()
    learn(by_default, *(sample(n, f"visitor-{n}", "i1", "i2") for n in range(20)))
    assert sizes(by_default, *USER_TABLES) == [0, 0]
    learn(by_default, sample(20, "visitor-7", "i1"))
    assert sizes(by_default, *USER_TABLES) == [1, 1]
    learn(by_default, sample(21, "ann", "i1", attributes=(key("user:age=3"),)))  # of the catalogue
    assert sizes(by_default, *USER_TABLES) == [2, 2]
    at_once = learner(embedding_admit_after=1)
    learn(at_once, *(sample(n, f"visitor-{n}", "i1") for n in range(20)))
    assert sizes(at_once, *USER_TABLES) == [20, 20]


def test_embeddings_end_after_as_many_impressions_as_the_settings_say() -> None:
    bounded = learner(embedding_admit_after=1, embedding_expire_after=100)
    for number in range(45):
        items = [f"i{n}" for n in range(PER_REQUEST)] if number else ["i7"]
        learn(bounded, sample(number, f"visitor-{number}", *items))
    of_users, of_items = sizes(bounded, *USER_TABLES), sizes(bounded, *ITEM_TABLES)
    assert all(25 <= size <= 25 + 3 for size in of_users)  # of the last 100 impressions
    assert of_items == [PER_REQUEST, PER_REQUEST]
    weights = bounded.weights()["ranker"]["tables"]
    assert [len(weights[name]["keys"]) for name in USER_TABLES] == of_users


def test_items_in_no_catalogue_take_no_embeddings_and_no_factors() -> None:
    trained = learner()
    for number in range(20):
        strangers = [f"x{number}-{n}" for n in range(60)]
        learn(trained, sample(number, "ann", "i1", "i2", *strangers))
    assert sizes(trained, *ITEM_TABLES) == [2, 2]
    factors = trained.state()["factor_log"]
    assert set(factors["item"].tolist()) == {key("i1"), key("i2")}
    assert len(factors["attributes_of"]) == 0


def test_what_the_settings_say_of_embeddings_may_change_while_a_model_goes_on() -> None:
    before, after = (
        ranker_config(config.settings(embedding_expire_after=n), ContentVectors()) for n in (10, 20)
    )
    assert before == after and before.expire_after != after.expire_after


@pytest.mark.parametrize("admit_after", [1, 2])
def test_a_checkpoint_from_before_admission_is_read(admit_after: int) -> None:
    old = learner(embedding_admit_after=1)
    learn(old, *(sample(n, f"visitor-{n}", "i1") for n in range(5)))
    state = old.state()
    new = learner(embedding_admit_after=admit_after)
    new.load_state(state)
    learn(new, sample(5, "visitor-5", "i1"), sample(6, "visitor-2", "i1"))
    assert sizes(new, *USER_TABLES) == [6, 6] if admit_after == 1 else [5, 5]
