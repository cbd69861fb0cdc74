"""The online trainer: samples of a topic in, published versions of the model out.

Its loop reads samples as they come, trains once on each, lets the guard look at each version that
is due, publishes it and reports. It keeps its positions in the log inside the model's checkpoint:
after a crash, weights, progressive metrics and positions are of one moment, and each sample takes
effect exactly once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

import msgspec
import torch
from redis import Redis

from headrace import config
from headrace.catalogue.vectors import ContentVectors
from headrace.catalogue.words import ContentTable
from headrace.documents.followed import FollowedItems
from headrace.encoders.arrivals.followed import FollowedVectors
from headrace.features.aggregation.facts import CLICK
from headrace.features.inputs import DENSE_NAMES
from headrace.features.schema import INPUT_SCHEMA
from headrace.learning.guarded_learner import GuardedLearner, Pace
from headrace.learning.learner import OnlineLearner
from headrace.learning.slices import SliceScores
from headrace.metrics import Scores
from headrace.monitoring.documents import Choices, Quality, TrainDocument
from headrace.monitoring.progress import ChoiceBoard, ProgressBoard, merged
from headrace.monitoring.status import StatusBoard
from headrace.registry.manifest import Manifest
from headrace.registry.publisher import Publisher
from headrace.sample import Sample
from headrace.skipped import Skipped
from trainers.recipe import check_checkpoint, ranker_config
from trainers.sample_reader import SampleReader

STATUS_EVERY_MS: Final = 500
MAX_ARRIVALS: Final = 256  # arrival times kept per version, to measure the freshness of models
MAX_HELD_ARRIVALS: Final = 10_000  # while versions are held
NEWEST_WINDOWS: Final = 30  # of a head, which its quality in the status is of

log = logging.getLogger(__name__)


class OnlineTrainer:
    """Samples in, published versions out; `state` is all that a restart needs."""

    def __init__(self, settings: config.Settings, clock: Callable[[], int]) -> None:
        self._settings, self._clock = settings, clock
        torch.set_num_threads(1)
        self._redis = redis = Redis.from_url(settings.redis_url)
        vectors = ContentVectors.of(settings)
        skipped = Skipped(clock)
        self._items = FollowedItems(settings, skipped, clock)
        self._vectors = FollowedVectors(settings, vectors, skipped, clock)
        self._content = ContentTable(self._items.table, vectors)
        self._config = ranker_config(settings, vectors)
        pace = Pace(
            settings.training.batch_size,
            settings.training.progressive_window,
            patience_ms=round(1_000 * settings.training.guard_patience_s),
        )
        self._guarded = GuardedLearner(
            self._config, self._content, settings.training.model_seed, pace, slices_of(settings)
        )
        self._samples = SampleReader(settings, clock, skipped)
        self._publisher = Publisher(settings, redis)
        self._status = StatusBoard(redis, settings.namespace)
        self._progress = {
            name: ProgressBoard(redis, settings.namespace, name) for name in settings.training.heads
        }
        self._choices = ChoiceBoard(redis, settings.namespace)
        self._newest: dict[str, dict[int, Scores]] = {}  # windows by head, beside the click
        self._arrivals_ms: list[int] = []
        self._newest_event_ms = 0
        self.version = 0
        self.held = ""  # why the newest version was not published
        self.is_worth_saving = False  # it is in a good state that was not saved yet
        self._good_version = 0
        self._published_ms = self._status_ms = self._good_ms = clock()

    @property
    def learner(self) -> OnlineLearner:
        """The learner within."""
        return self._guarded.learner

    def step(self) -> None:
        """One round of the loop: read, train, guard, publish, report, each when it is due."""
        self._items.poll()
        self._vectors.poll()
        self._samples.poll()
        now = self._clock()
        if self._samples.is_due():
            self._train(self._samples.take())
        if (
            self._arrivals_ms
            and now - self._published_ms >= 1_000 * self._settings.training.publish_every_s
        ):
            self._published_ms = now
            if self._is_let_pass(now):
                self._publish(now)
            else:
                self._hold(now)
        if now - self._status_ms >= STATUS_EVERY_MS:
            self._status_ms = now
            self._report(now)

    def state(self) -> dict[str, Any]:
        """Weights, optimizer, progressive window and positions, to be saved before the next step.

        Asking for it has no effect: it trains on nothing, and nothing is sent or written.
        """
        state = {"guarded": self._guarded.state(), "samples": self._samples.state()}
        of = {"schema": INPUT_SCHEMA, "model": msgspec.to_builtins(self._config)}
        return {**state, **of, "newest_event_ms": self._newest_event_ms}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore the state that `state` returned, and go on from there.

        Weights of another input schema are of other columns: where it has changed, a new model
        begins with the samples that come from then on; so it does where the checkpoint is of a
        build whose learner had no guard. Raises `ConfigError` for those of another ranker.
        """
        if state["schema"] == INPUT_SCHEMA and "guarded" in state:
            if "model" in state:  # checkpoints from before sizes could be chosen lack it
                check_checkpoint(state["model"], self._config)
            self._guarded.load_state(state["guarded"])
        else:
            log.warning(
                "the checkpoint is of another build or input schema (%08x, this build has %08x): "
                "a new model begins, with the samples from here on; serving has none until it is "
                "published. To keep the old one, go back to the build that trained it",
                *(state["schema"], INPUT_SCHEMA),
            )
        self._samples.load_state(state.get("samples", state))
        self._newest_event_ms = state["newest_event_ms"]

    def close(self) -> None:
        """Leave the servers; the state is not saved."""
        self._items.close()
        self._vectors.close()
        self._samples.close()
        self._publisher.close()
        self._redis.close()

    def _train(self, samples: list[Sample]) -> None:
        trained = self._guarded.learn(samples)
        self.is_worth_saving = False
        newest_ms = max((sample.event_time_ms for sample in trained), default=0)
        self._newest_event_ms = max(self._newest_event_ms, newest_ms)
        self._arrivals_ms += [sample.arrival_ms for sample in trained]

    def _is_let_pass(self, now: int) -> bool:
        """Whether the guard lets the learner be published."""
        before, self.held = self.held, self._guarded.verdict(now)
        if self.held and not before:
            log.warning("a version is held, %d is served on: %s", self.version, self.held)
        if before and not self.held:
            log.warning("versions are published again: the guard has nothing against them")
        return not self.held

    def _hold(self, now: int) -> None:
        """Hold the version: serving keeps the published one; a learner held for long rolls back."""
        del self._arrivals_ms[:-MAX_HELD_ARRIVALS]
        if self._guarded.roll_back_if_due(now):
            log.warning(
                "the learner went back to what it was at version %d and goes on with the samples "
                "from positions %s on; %d impressions were given up so far",
                *(self._good_version, self._samples.positions, self._guarded.num_rolled_back),
            )
            self.is_worth_saving = True

    def _publish(self, now: int) -> None:
        step = -(-len(self._arrivals_ms) // MAX_ARRIVALS)
        manifest = Manifest(
            version=0,
            uri="",
            sha256="",
            created_ms=now,
            schema=INPUT_SCHEMA,
            model=self._config,
            vector_tables=self._content.vectors.names,
            num_samples=self.learner.num_samples,
            newest_event_ms=self._newest_event_ms,
            arrivals_ms=tuple(self._arrivals_ms[::step]),
        )
        weights = self.learner.weights()
        self.version = self._publisher.publish(weights, manifest).version
        self._guarded.published(weights)
        self._arrivals_ms = []
        if now - self._good_ms >= 1_000 * self._settings.training.checkpoint_every_s:
            self._guarded.remember()
            self._good_ms, self._good_version = now, self.version
            self.is_worth_saving = True

    def _report(self, now: int) -> None:
        for head, board in self._progress.items():
            every = self.learner.take_windows(head)
            windows = {n: scores for n, scores in every.items() if scores.num_samples}
            board.write(windows)
            if head != CLICK and windows:
                newest = {**self._newest.get(head, {}), **windows}
                self._newest[head] = dict([*newest.items()][-NEWEST_WINDOWS:])
        self._choices.write(self.learner.take_choice_windows())
        choices = self.learner.choices.newest()
        left_out, given_up = self._guarded.limit.num_left_out, self._guarded.num_rolled_back
        document = TrainDocument(
            lag=self._samples.lag(),
            samples=self.learner.num_samples + left_out + given_up,
            left_out=left_out,
            given_up=given_up,
            held=self.held,
            unreadable_samples=self._samples.num_unreadable,
            lost_messages=self._samples.num_lost,
            skipped=self._samples.skipped.report(),
            skipped_batches=self.learner.num_skipped,
            version=self.version,
            ids={name: len(table) for name, table in self.learner.ranker.tables.items()},
            quality=self._quality(),
            choices=Choices.of(choices) if choices.num_lists else None,
        )
        self._status.write(document, now)

    def _quality(self) -> dict[str, Quality]:
        """Of clicks by slice, and of the other heads as `action:NAME`."""
        heads = {f"action:{head}": merged([*of.values()]) for head, of in self._newest.items()}
        every = {**self._guarded.slices.scores(), **heads}
        return {name: Quality.of(scores) for name, scores in every.items()}


def slices_of(settings: config.Settings) -> SliceScores:
    """The parts of the traffic whose quality is reported."""
    names = {"new_users": "user_impressions_log", "new_items": "item_impressions_log"}
    columns = {of: DENSE_NAMES.index(name) for of, name in names.items()}
    return SliceScores(settings.training.surfaces, columns)
