"""A trainer learns of items that came while it runs, and not of those that went."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest
from small_loop import SmallLoop, sample, small_loop, trained

from headrace import config
from headrace.broker.topics import Topics
from headrace.broker.writer import LogWriter
from headrace.documents.document import ITEM, ItemDocument
from headrace.documents.messages import removal, whole_message
from headrace.keys import key
from headrace.sample import encode_batches
from trainers.online import OnlineTrainer

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallLoop]:
    with small_loop(tmp_path_factory.mktemp("follows")) as running:
        yield running


def has_row(trainer: OnlineTrainer, item_id: str) -> bool:
    """Whether the ranker has an embedding of the item."""
    index = trainer.learner.ranker.tables["item"].index
    return bool(index.find(np.array([key(item_id)]))[0])


def test_items_that_came_are_learned_of_and_those_that_went_are_not(loop: SmallLoop) -> None:
    settings: config.Settings = loop.settings("trainer_follows", embedding_admit_after=1)
    topics = Topics(settings.namespace)
    with trained(settings, [sample(number) for number in range(10)]) as trainer:
        with closing(LogWriter(settings)) as writer:
            for told in (whole_message(ITEM, ItemDocument("new")), removal("i3")):
                writer.send(topics.items, told.value, told.key)
            writer.flush()
            for _ in range(20):
                trainer.step()
            before = trainer.learner.num_samples
            ids = tuple(key(name) for name in ("new", "stranger", "i5", "i6"))
            for number in range(20, 40):
                for message in encode_batches([sample(number, item_keys=ids)]):
                    writer.send(topics.samples, message, partition=0)
            writer.flush()
        for _ in range(100):
            trainer.step()
            if trainer.learner.num_samples > before + 60:
                break
        assert has_row(trainer, "new") and not has_row(trainer, "stranger")
