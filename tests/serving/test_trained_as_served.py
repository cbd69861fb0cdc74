"""What the trainer trained is what a replica serves, on real servers and with their own code."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import pytest
import torch
from redis import Redis
from small_loop import ITEMS, NOW_MS, SmallLoop, replica, sample, small_loop, trained

from headrace import config
from headrace.api.slate import RecommendRequest
from headrace.catalogue.vectors import ContentVectors
from headrace.catalogue.words import ContentTable
from headrace.errors import ConfigError, DatasetError
from headrace.features.inputs import RequestFeatures
from headrace.features.online.store import OnlineStore
from headrace.model.batch import BatchRequest, batch_of_samples
from headrace.model.config import size_of
from headrace.model.ranker import Ranker
from headrace.monitoring.documents import TrainDocument
from headrace.monitoring.progress import ProgressBoard
from headrace.monitoring.status import StatusBoard
from headrace.sample import Sample
from serving.recommend import Recommender
from serving.replica.follow import Live
from serving.replica.models import LiveModel
from serving.stages.hydrate import Hydrate
from trainers.online import OnlineTrainer
from trainers.recipe import check_continues

pytestmark = pytest.mark.services

FOUR, THREE = "given_vector/1-4d", "given_vector/1-3d"
SAMPLES = [sample(number) for number in range(15)]


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallLoop]:
    with small_loop(tmp_path_factory.mktemp("small-loop")) as running:
        running.write_vectors(FOUR, 4)
        running.write_vectors(THREE, 3)
        running.write_vectors("empty/1", 0)
        yield running


def trained_logits(trainer: OnlineTrainer, content: ContentTable, one: Sample) -> torch.Tensor:
    """[C, K]: of the trainer's own ranker, on a training batch."""
    trainer.learner.ranker.eval()
    with torch.inference_mode():
        return trainer.learner.ranker(
            batch_of_samples([one], content, trainer.learner.ranker.config)
        ).logit_CK


def served_logits(live: Live, model: LiveModel, one: Sample) -> torch.Tensor:
    """[C, K]: of the replica's ranker, from its cached item side."""
    features = RequestFeatures(one.dense_NF.copy(), one.history_3T.copy())
    request = BatchRequest(one.user_key, one.user_word_keys, (), features)
    rows_of = live.catalogue.rows_of_keys
    logits = model.items.logits(request, rows_of(one.history_3T[0]), rows_of(one.item_keys))
    return torch.from_numpy(logits)


@pytest.mark.parametrize("tables", [(), (FOUR,), (THREE, FOUR)])
def test_a_replica_serves_what_the_trainer_trained(
    loop: SmallLoop, tables: tuple[str, ...]
) -> None:
    settings = loop.settings(f"same_{len(tables)}", vector_tables=",".join(tables))
    content = ContentTable({item.item_id: item for item in ITEMS}, ContentVectors.of(settings))
    with trained(settings, SAMPLES) as trainer, replica(settings) as live:
        model = live.catch_up().model
        assert model is not None and model.manifest.vector_tables == tables
        assert model.manifest.model.content_widths == tuple(int(name[-2]) for name in tables)
        for one in SAMPLES:
            expected = trained_logits(trainer, content, one)
            torch.testing.assert_close(served_logits(live, model, one), expected)
        if tables:  # the vectors matter
            blind = ContentTable({item.item_id: item for item in ITEMS})
            assert not torch.allclose(trained_logits(trainer, blind, one), expected)


def test_a_replica_serves_a_model_of_whatever_size_and_fusion_it_was_trained_with(
    loop: SmallLoop,
) -> None:
    chosen = loop.settings("sized", ranker_size="base", fusion="attention", vector_tables=FOUR)
    served = loop.settings("sized", vector_tables=FOUR)  # a replica reads these of the manifest
    with trained(chosen, SAMPLES[:4]) as trainer, replica(served) as live:
        model = live.catch_up().model
        assert model is not None
        assert (size_of(model.manifest.model), model.manifest.model.fusion) == ("base", "attention")
        content = ContentTable({i.item_id: i for i in ITEMS}, ContentVectors.of(served))
        expected = trained_logits(trainer, content, SAMPLES[0])
        torch.testing.assert_close(served_logits(live, model, SAMPLES[0]), expected)


@pytest.mark.parametrize("tables", ["", THREE, f"{FOUR},{THREE}"])
def test_a_replica_refuses_a_model_trained_with_other_vectors(loop: SmallLoop, tables: str) -> None:
    namespace = f"refused_{len(tables)}"
    with trained(loop.settings(namespace, vector_tables=FOUR), SAMPLES):
        pass
    with replica(loop.settings(namespace, vector_tables=tables)) as live:
        with pytest.raises(ConfigError, match=f"trained with the vector tables {FOUR}, the set"):
            live.catch_up()
        live.start()
        deadline = time.monotonic() + 20
        while not live.followed.last_error and time.monotonic() < deadline:
            time.sleep(0.05)
        assert f"trained with the vector tables {FOUR}" in live.followed.last_error
        assert live.snapshot.model is None


def test_training_goes_on_with_the_same_vectors_only(loop: SmallLoop) -> None:
    with trained(loop.settings("goes_on", vector_tables=FOUR), SAMPLES):
        pass
    check_continues(loop.settings("goes_on", vector_tables=FOUR))
    with pytest.raises(ConfigError, match=f"tables {FOUR}, the settings name none"):
        check_continues(loop.settings("goes_on"))


def test_training_goes_on_with_the_same_heads_only(loop: SmallLoop) -> None:
    with trained(loop.settings("heads", heads="click"), SAMPLES):
        pass
    with pytest.raises(ConfigError, match=r"trained with heads .*click.* \(now .*like"):
        check_continues(loop.settings("heads", heads="click,like"))
    with pytest.raises(ConfigError, match="no action 'smile', expected some of click, like, long"):
        check_continues(loop.settings("heads", heads="click,smile"))


def test_every_action_that_the_log_tells_of_is_learned_and_reported(loop: SmallLoop) -> None:
    settings = loop.settings("actions", surfaces="home", rank_by="click=0.25,like=2")
    shown = [
        sample(n, labelled=3, outcomes=(3, 0, 1, 2), positions=(0, 1, 2, 3), surface="home")
        for n in range(15)
    ]
    with trained(settings, shown) as trainer, replica(settings) as live:
        snapshot = live.catch_up()
        model = snapshot.model
        asked = RecommendRequest("u1", num_items=3)
        recommender = Recommender(Hydrate(OnlineStore(settings)), live.catalogue, 100)
        slate, _ = recommender.recommend(asked, snapshot, NOW_MS)
        trainer.step()  # which reports
        with closing(Redis.from_url(settings.redis_url)) as redis:
            (document,) = StatusBoard(redis, settings.namespace).read(TrainDocument)
        quality = document.quality
        for head, expected in (("click", 60), ("like", 60), ("long_view", 0)):
            with closing(Redis.from_url(settings.redis_url)) as redis:
                windows = ProgressBoard(redis, settings.namespace, head).read()
            assert sum(scores.num_samples for scores in windows.values()) == expected
        untrained = Ranker(trainer.learner.ranker.config, settings.training.model_seed)
        for name, weight in trainer.learner.ranker.named_parameters():
            if name.startswith("position."):
                assert not torch.equal(weight, untrained.get_parameter(name)), name
    assert model is not None and model.weight_J.tolist() == [0.25, 2, 0]
    assert model.manifest.model.surface_number("home") == 1
    assert quality["action:like"].samples == 60 and "action:long_view" not in quality
    assert len(slate.items) == 3 and not slate.degraded
    for item in slate.items:
        assert item.p_click is not None and list(item.p) == ["like"]
        assert item.score == pytest.approx(0.25 * item.p_click + 2 * item.p["like"])


def test_a_replica_refuses_to_rank_by_what_is_not_predicted(loop: SmallLoop) -> None:
    with trained(loop.settings("ranked", heads="click"), SAMPLES):
        pass
    said = "ranked by 'like', the model's heads are click"
    with replica(loop.settings("ranked", rank_by="like=1")) as live:
        with pytest.raises(ConfigError, match=said):
            live.catch_up()


def test_vectors_that_cannot_be_read_are_said_before_training(loop: SmallLoop) -> None:
    with pytest.raises(
        DatasetError, match=f"no content vectors 'text/9' in .*, there are: .*{FOUR}"
    ):
        OnlineTrainer(loop.settings("unread", vector_tables="text/9"), lambda: NOW_MS)
    with pytest.raises(ConfigError, match=r"content_widths \[0\]: a table .* is empty"):
        OnlineTrainer(loop.settings("unread", vector_tables="empty/1"), lambda: NOW_MS)
    assert not (config.vectors_path(loop.settings("unread")) / "text").exists()
