"""The sample reader and the trainer's state: each sample once, and asking changes nothing."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from typing import Any

import pytest
import torch
from redis import Redis
from trainer_servers import plain_sample, send

from headrace import config
from headrace.broker.reader import ends_of_log
from headrace.broker.topics import Topics
from headrace.broker.writer import LogWriter
from headrace.features.schema import INPUT_SCHEMA
from headrace.sample import Sample, encode_batches
from trainers.online import OnlineTrainer
from trainers.sample_reader import SampleReader

pytestmark = pytest.mark.services

NOW_MS = 1_800_000_000_000
ROUNDS = 200  # of at most 50 ms each


def sample(offset: int, **changes: Any) -> Sample:
    return plain_sample(offset, NOW_MS + offset, num_items=2, **changes)


def send_bytes(settings: config.Settings, *messages: bytes) -> None:
    with closing(LogWriter(settings)) as writer:
        for message in messages:
            writer.send(Topics(settings.namespace).samples, message, partition=0)
        writer.flush()


@contextmanager
def reading(settings: config.Settings, state: dict[str, Any] | None = None) -> Iterator[Any]:
    """A reader, after `state` if there is one, that has read the whole topic."""
    with closing(SampleReader(settings, lambda: NOW_MS)) as reader:
        if state is not None:
            reader.load_state(state)
        (end,) = ends_of_log(settings, Topics(settings.namespace).samples).values()
        for _ in range(ROUNDS):
            reader.poll()
            if reader.positions[0] == end:
                break
        assert reader.positions == {0: end}
        yield reader


def saved(state: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def offsets(samples: list[Sample]) -> list[int]:
    return [one.source_offset for one in samples]


def test_samples_come_out_once_in_order_beside_what_is_damaged_or_of_another_table(
    settings: config.Settings,
) -> None:
    good = [sample(n) for n in range(4)]
    send(settings, good[:2])
    send_bytes(settings, b"no samples", *encode_batches([sample(2, schema=INPUT_SCHEMA ^ 1)]))
    send(settings, [sample(1), *good[2:]])  # a stream worker that started again sent one twice
    send(settings, [sample(9, outcomes=(0,))])
    with reading(settings) as reader:
        assert offsets(reader.take()) == [0, 1, 2, 3]
        assert reader.take() == []
        assert reader.num_unreadable == 1
        assert set(reader.skipped.counts()) == {
            ("samples", "no samples"),
            ("samples", "a sample that cannot be"),
        }


def test_a_step_is_due_when_it_is_full_or_has_waited(settings: config.Settings) -> None:
    clock = count(NOW_MS, 1_000)
    settings = config.changed(settings, batch_size=8, batch_wait_s=1_000)
    send(settings, [sample(n) for n in range(3)])  # six impressions
    with reading(settings) as reader:
        assert not reader.is_due()
        send(settings, [sample(3)])
        for _ in range(ROUNDS):
            reader.poll()
            if reader.is_due():
                break
        assert reader.is_due() and offsets(reader.take()) == [0, 1, 2, 3] and not reader.is_due()
    with closing(
        SampleReader(config.changed(settings, batch_wait_s=5), lambda: next(clock))
    ) as one:
        for _ in range(ROUNDS):
            one.poll()
            if one.is_due():
                break
        assert one.is_due()


def test_a_state_holds_what_waits_and_does_not_change_while_the_reader_goes_on(
    settings: config.Settings,
) -> None:
    send(settings, [sample(n) for n in range(3)])
    with reading(settings) as reader:
        state = reader.state()
        send(settings, [sample(3)])
        while reader.positions[0] == state["positions"][0]:
            reader.poll()
    with reading(settings, state) as again:
        assert offsets(again.take()) == [0, 1, 2, 3]


def test_asking_a_trainer_for_its_state_trains_sends_and_writes_nothing(
    settings: config.Settings,
) -> None:
    settings = config.changed(settings, batch_size=16, batch_wait_s=1_000)
    seconds = count()
    send(settings, [sample(n) for n in range(10)])

    def world(redis: Redis) -> Any:
        """All keys of Redis, and how long the topics are."""
        topics = Topics(settings.namespace)
        ends = [ends_of_log(settings, name) for name in (topics.samples, topics.models)]
        return {key: redis.dump(key) for key in redis.scan_iter()}, ends

    with (
        Redis.from_url(settings.redis_url) as redis,
        closing(OnlineTrainer(settings, lambda: NOW_MS + 1_000 * next(seconds))) as trainer,
    ):
        for _ in range(ROUNDS):
            trainer.step()
            if trainer.version:
                break
        send(settings, [sample(10)])
        while not trainer.state()["samples"]["pending"]:
            trainer.step()
        before, num_samples = world(redis), trainer.learner.num_samples
        one, other = trainer.state(), trainer.state()
        assert world(redis) == before and trainer.learner.num_samples == num_samples
        assert saved(one) == saved(other)
        assert trainer.version and one["samples"]["pending"], "there was something to write"
