"""The learner under poison, and at several paces: MovieLens-100K, poison after nine tenths of it.

The stream's own code makes the samples, the trainer's learner under guard takes them in as they
arrive on a clock of their own, and publishes every three seconds. Quality is that of the version
which is served, on the events that follow, whose features have seen the poison as well: without
any it would be that of the same version, as a control beside each figure says.
"""

from __future__ import annotations

import multiprocessing
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
import numpy as np
import torch

from headrace import config
from headrace.broker.record import Record
from headrace.catalogue.words import ContentTable
from headrace.datasets.registry import load_dataset
from headrace.event import ClickEvent, Event, ImpressionEvent, Shown
from headrace.features.inputs import NUM_DENSE, RATES
from headrace.learning.guarded_learner import GuardedLearner, Pace
from headrace.metrics import Scores
from headrace.model.batch import batch_of_samples
from headrace.model.config import Head, nano
from headrace.monitoring.progress import merged
from headrace.sample import Sample
from headrace.stream.step.batch_path import BatchPath
from headrace.stream.step.intake import Decoded
from headrace.stream.step.partition import PartitionSettings

SETTINGS: Final = config.settings(num_partitions=1)
CONFIG: Final = replace(
    nano(NUM_DENSE), rates=RATES, heads=tuple(map(Head, SETTINGS.training.heads))
)
SHARE_BEFORE: Final = 0.9  # of the log, before the poison
NUM_HELD_OUT: Final = 5_000
STEP: Final = 512  # events of a step of the stream
USUAL_PER_S: Final = 500.0
PACES_PER_S: Final = (20.0, 500.0, 5_000.0)


@dataclass(frozen=True, slots=True)
class Poison:
    """Events to send, and how many a second."""

    events: Sequence[Event]
    per_s: float


class Stream:
    """One partition of the stream in memory."""

    def __init__(self, items: dict[str, Any]) -> None:
        self._path, self._offset = BatchPath(items.get, PartitionSettings.of(SETTINGS)), 0

    def samples(self, events: Sequence[Event]) -> list[Sample]:
        """The samples of these events, which arrive when they happen and whose windows then end."""
        made: list[Sample] = []
        for start in range(0, len(events), STEP):
            decoded = [
                Decoded(Record(0, self._offset + n, event.event_time_ms, b"", b""), event)
                for n, event in enumerate(events[start : start + STEP])
            ]
            self._offset += len(decoded)
            made += self._path.process(0, decoded, decoded[-1].record.arrival_ms).samples
        return made + self._path.process(0, [], 1 << 52).samples


class Learning:
    """A learner under guard that trains and publishes as the trainer does, on a simulated clock."""

    def __init__(self, content: ContentTable) -> None:
        pace = Pace(
            SETTINGS.training.batch_size, 1_000, round(1_000 * SETTINGS.training.guard_patience_s)
        )
        self.guarded, self._content = GuardedLearner(CONFIG, content, 0, pace), content
        self._now_ms = self._pending_ms = self._published_ms = self._good_ms = 0.0
        self._pending: list[Sample] = []
        self.held: list[str] = []

    def take(self, samples: Sequence[Sample], per_s: float) -> None:
        """Take in samples that arrive evenly."""
        for sample in samples:
            self._now_ms += 1_000 / per_s
            if not self._pending:
                self._pending_ms = self._now_ms
            self._pending.append(sample)
            waited_ms = self._now_ms - self._pending_ms
            is_full = sum(s.num_impressions for s in self._pending) >= SETTINGS.training.batch_size
            if is_full or waited_ms >= 1_000 * SETTINGS.training.batch_wait_s:
                self.guarded.learn(self._pending)
                self._pending = []
            if self._now_ms - self._published_ms >= 1_000 * SETTINGS.training.publish_every_s:
                self._publish_or_hold()

    def _publish_or_hold(self) -> None:
        self._published_ms, now = self._now_ms, round(self._now_ms)
        if reason := self.guarded.verdict(now):
            self.held.append(reason)
            self.guarded.roll_back_if_due(now)
            return
        self.guarded.published(self.guarded.learner.weights())
        if self._now_ms - self._good_ms >= 1_000 * SETTINGS.training.checkpoint_every_s:
            self.guarded.remember()
            self._good_ms = self._now_ms

    def served(self, samples: Sequence[Sample]) -> Scores:
        """How the version that is served scores samples that nobody learned from."""
        scores = Scores()
        for start in range(0, len(samples), 256):
            batch = batch_of_samples(samples[start : start + 256], self._content, CONFIG)
            label_C = batch.candidates.label_CJ[:, 0].numpy()
            known_C = ~np.isnan(label_C)
            p_C = self.guarded.served_probabilities(batch)[:, 0]
            scores.add(p_C[known_C], label_C[known_C])
        return scores


class World:
    """MovieLens, its stream and its learner after nine tenths of it."""

    def __init__(self) -> None:
        torch.set_num_threads(1)
        dataset = load_dataset("movielens", None)
        self.items = {item.item_id: item for item in dataset.items}
        self.users = [user.user_id for user in dataset.users]
        events = list(dataset.events())
        cut = round(SHARE_BEFORE * len(events))
        self.before, self._held_out = events[:cut], events[cut : cut + NUM_HELD_OUT]
        self.end_ms = self.before[-1].event_time_ms
        self._stream, self.learning = Stream(self.items), Learning(ContentTable(self.items))
        self.learning.take(self._stream.samples(self.before), USUAL_PER_S)

    def after(self, *poisons: Poison) -> dict[str, Any]:
        """AUC and NE of the version served after these, one after the other, and of the control; in
        a process of its own, so that this world stays as it is."""
        context = multiprocessing.get_context("fork")
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=lambda: sender.send(self._after(poisons)))
        process.start()
        found: dict[str, Any] = receiver.recv()
        process.join()
        return found

    def _after(self, poisons: Sequence[Poison]) -> dict[str, Any]:
        stream, learning = self._stream, self.learning
        scored = [stream.samples(poison.events) for poison in poisons]
        moved_ms = max((p.events[-1].event_time_ms for p in poisons), default=0) - self.end_ms
        held_out = [
            msgspec.structs.replace(event, event_time_ms=event.event_time_ms + moved_ms + 1)
            for event in self._held_out
        ]
        samples = stream.samples(held_out)
        control = learning.served(samples)
        for made, poison in zip(scored, poisons, strict=True):
            learning.take(made, poison.per_s)
        scores = learning.served(samples)
        return {
            "auc": round(scores.auc, 4),
            "ne": round(scores.normalized_entropy, 4),
            "control_auc": round(control.auc, 4),
            "control_ne": round(control.normalized_entropy, 4),
            "versions_held": len(learning.held),
            "left_out": learning.guarded.limit.num_left_out,
            "given_up": learning.guarded.num_rolled_back,
        }


def run() -> dict[str, Any]:
    """The spread over paces, and each poison."""
    world, draw = World(), random.Random(3)
    some = draw.sample(world.before, 20_000)
    good = _again(world, some[9_000:19_000], 0, 1_000_000, "good")
    flipped = {pace: _again(world, some[:9_000], 1, 0, f"flip{pace}") for pace in (150, 5_000)}
    cases = {
        "none": world.after(Poison(good, 400.0)),
        "singles": world.after(Poison(_clicks(world, draw), 5.0)),
        "flipped300": world.after(Poison(_again(world, some[:300], 1, 0, "few"), 3.3)),
        "flipped9000": world.after(Poison(flipped[150], 150.0)),
        "flipped9000_after": world.after(Poison(flipped[150], 150.0), Poison(good, 400.0)),
        "flipped9000_at_once": world.after(Poison(flipped[5_000], 5_000.0)),
        "surfaces": world.after(Poison(_surfaces(world, draw), 2_000.0)),
        "unknown_item": world.after(Poison(_unknown(world, draw), 2_000.0)),
        "million": world.after(Poison(_million(world), 20.0)),
    }
    entropies = pace_entropies(world)
    return {
        "pace_ne": entropies,
        "pace_ne_spread": round(max(entropies.values()) - min(entropies.values()), 4),
        "singles_ne": cases["singles"]["ne"],
        "flipped300_auc": cases["flipped300"]["auc"],
        "flipped9000_auc": cases["flipped9000"]["auc"],
        "flipped9000_after_auc": cases["flipped9000_after"]["auc"],
        "million_auc": cases["million"]["auc"],
        "poisons": cases,
    }


def pace_entropies(world: World) -> dict[str, float]:
    """The progressive entropy of the last fifth of the log, by its pace in events a second."""
    samples, found = Stream(world.items).samples(world.before), {}
    for per_s in PACES_PER_S:
        learning = Learning(ContentTable(world.items))
        learning.take(samples, per_s)
        windows = learning.guarded.learner.take_windows()
        last = [windows[number] for number in sorted(windows)][-len(windows) // 5 :]
        found[f"{per_s:g}"] = round(merged(last).normalized_entropy, 4)
    return found


def _again(
    world: World, events: Sequence[Event], flip: int, from_ms: int, name: str
) -> list[Event]:
    """Ratings as impressions of now, with their labels or the opposite."""
    made: list[Event] = []
    for n, event in enumerate(events):
        assert isinstance(event, ImpressionEvent)
        shown = event.items[0]
        items = (Shown(shown.item_id, clicked=bool(shown.clicked) ^ bool(flip)),)
        time_ms = world.end_ms + from_ms + n
        made.append(ImpressionEvent(f"{name}-{n}", time_ms, event.user_id, f"{name}-{n}", items))
    return made


def _impressions(
    world: World, num: int, one: Callable[[int], tuple[str, bool, str]], draw: random.Random
) -> list[Event]:
    """Impressions of one item each to users drawn: the item, whether clicked, the surface."""
    made: list[Event] = []
    for n in range(num):
        item_id, clicked, surface = one(n)
        items = (Shown(item_id, clicked=clicked),)
        user_id, name = draw.choice(world.users), f"{surface}-{item_id}-{n}"
        made.append(ImpressionEvent(name, world.end_ms + n, user_id, name, items, surface))
    return made


def _clicks(world: World, draw: random.Random) -> list[Event]:
    """300 clicks of known users on known items that name no request."""
    ids = list(world.items)
    return [
        ClickEvent(f"click-{n}", world.end_ms + n, draw.choice(world.users), draw.choice(ids))
        for n in range(300)
    ]


def _surfaces(world: World, draw: random.Random) -> list[Event]:
    ids = list(world.items)
    return _impressions(
        world, 20_000, lambda n: (draw.choice(ids), draw.random() < 0.5, f"s{n}"), draw
    )


def _unknown(world: World, draw: random.Random) -> list[Event]:
    return _impressions(world, 5_000, lambda n: ("nosuch", True, "home"), draw)


def _million(world: World) -> list[Event]:
    """A thousand impressions of a thousand items by one user."""
    items = tuple(Shown(item_id, clicked=False) for item_id in list(world.items)[:1_000])
    return [
        ImpressionEvent(f"m{n}", world.end_ms + n, "one-sender", f"m{n}", items)
        for n in range(1_000)
    ]
