"""Whatever lies in `samples`, `models` and `item-features`, trainer and replica go on."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np
import pytest
from redis import Redis
from small_loop import NOW_MS, SmallLoop, replica, sample, small_loop

from headrace.ads.budgets import Budgets
from headrace.ads.campaign import Campaign
from headrace.broker.topics import Topics
from headrace.broker.writer import LogWriter
from headrace.config import Settings
from headrace.registry.subscriber import Subscriber
from headrace.sample import Sample, encode_batches
from trainers.online import OnlineTrainer

pytestmark = pytest.mark.services

JUNK = [b"", b"\xff\x00garbage", b"null", b"[]", b"{}", b"\x90", b"\x91\xc0", b'{"version": 9}']
JUNK += [np.random.default_rng(seed).bytes(seed * 50) for seed in range(1, 6)]
WRONG: tuple[dict[str, object], ...] = (
    {"dense": b"123"},
    {"dense": b""},
    {"dense": np.full((4, 34), np.nan, "<f4").tobytes()},
    {"history": bytes(24)},
    {"outcomes": (1,)},
    {"outcomes": (1, 1, 1, 1 << 40)},
    {"positions": (1, 2)},
    {"item_keys": (0, 1, 2, 3)},
    {"user_key": -5},
    {"user_word_keys": (0,)},
    {"source_partition": 7},
    {"source_offset": -1},
    {"source_offset": 1 << 60},
    {"sequence": 9},
    {"labelled": 777},
    {"surface": "s" * 200},
    {"event_time_ms": 1 << 62},
)


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallLoop]:
    with small_loop(tmp_path_factory.mktemp("any-models")) as made:
        yield made


def send(settings: Settings, topic: str, *messages: bytes) -> None:
    with closing(LogWriter(settings)) as writer:
        for message in messages:
            writer.send(topic, message, partition=0)
        writer.flush()


def trained_beside(settings: Settings, junk: list[bytes], samples: list[Sample]) -> OnlineTrainer:
    """A trainer that has read junk, samples, and junk again."""
    topic = Topics(settings.namespace).samples
    send(settings, topic, *junk, *encode_batches(samples), *junk)
    seconds = itertools.count()
    trainer = OnlineTrainer(settings, lambda: NOW_MS + 1_000 * next(seconds))
    for _ in range(100):
        trainer.step()
        if trainer.version and trainer.learner.num_samples:
            break
    return trainer


def test_samples_that_cannot_be_spoil_neither_the_others_nor_the_trainer(loop: SmallLoop) -> None:
    settings = loop.settings("any_samples")
    samples = [sample(number) for number in range(40)]
    wrong = [msgspec.structs.replace(samples[0], **changes) for changes in WRONG]
    mixed = [one for pair in itertools.zip_longest(samples, wrong) for one in pair if one]
    with closing(trained_beside(settings, JUNK, mixed)) as trainer:
        assert trainer.learner.num_samples == 4 * len(samples)
        counted = trainer._samples.skipped.counts()
        assert sum(n for (_, why), n in counted.items() if "cannot be" in why) >= len(WRONG) - 1
        assert counted["samples", "of an event beyond the log's end"] == 1
        assert counted["samples", "no samples"] >= len(JUNK)


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_a_replica_keeps_what_it_has_and_says_what_is_wrong(loop: SmallLoop) -> None:
    settings = loop.settings("any_models")
    topics = Topics(settings.namespace)
    with closing(trained_beside(settings, [], [sample(n) for n in range(20)])):
        pass
    with closing(Subscriber(settings)) as models:
        good = models.newest()
    assert good is not None
    gone = msgspec.structs.replace(good, version=good.version + 1, uri=f"{good.uri}.gone")
    path = Path(good.uri.removeprefix("file://"))
    damaged = path.with_name("damaged.pt")
    damaged.write_bytes(path.read_bytes()[:100])
    other = msgspec.structs.replace(good, version=good.version + 2, uri=damaged.as_uri())
    send(settings, topics.models, *JUNK, *map(msgspec.json.encode, (gone, other)), *JUNK)
    send(settings, topics.item_features, *JUNK)
    with replica(settings) as live:
        live.start()
        until(lambda: live.snapshot.model is not None, "the one before the damaged is served")
        assert live.snapshot.model is not None
        assert live.snapshot.model.manifest == good and live.followed.last_error
        until(lambda: live.skipped.total() >= 3 * len(JUNK), "all are counted")
        again = msgspec.structs.replace(good, version=good.version + 3)
        send(settings, topics.models, msgspec.json.encode(again))
        until(lambda: _version(live.snapshot.model) == again.version, "the next good one is served")
        assert live.followed.last_error == ""
    with Redis.from_url(settings.redis_url) as redis:
        redis.set(f"{settings.namespace}:model_version", "junk")
    with closing(trained_beside(settings, [], [sample(n) for n in range(20, 40)])) as trainer:
        assert trainer.version == again.version + 1


def _version(model: object) -> int:
    return int(model.manifest.version) if model else 0  # type: ignore[attr-defined]


def test_a_budget_that_is_no_number_pays_nothing_and_is_counted(loop: SmallLoop) -> None:
    settings = loop.settings("any_budgets")
    with Redis.from_url(settings.redis_url) as redis:
        budgets = Budgets(redis, settings.namespace)
        budgets.open([Campaign("good", "i1", bid_micros=1, budget_micros=100)])
        for number, junk in enumerate((b"junk", b"\xff", b"1.5", b"nan", b"9" * 40, b"")):
            redis.set(f"{settings.namespace}:budget:c{number}", junk)
            assert not budgets.reserve(f"c{number}", "r", 1, 0)
        redis.lpush(f"{settings.namespace}:budget:list", 1)
        assert not budgets.reserve("list", "r", 1, 0) and budgets.reserve("good", "r1", 40, 0)
        assert budgets.left_micros("good") == 60 and budgets._skipped.total() == 7
        redis.set(f"{{{settings.namespace}:budget:good}}:ends", "junk")
        assert not budgets.reserve("good", "r2", 1, 0) and budgets._skipped.total() == 8
        redis.delete(f"{{{settings.namespace}:budget:good}}:ends")
        redis.delete(f"{settings.namespace}:budget:good")  # a Redis that came back empty
        assert budgets.reserve("good", "r3", 30, 0) and budgets.left_micros("good") == 70
        assert not budgets.reserve("nobody's", "r", 1, 0) and not budgets.charge([("no", "r")])
