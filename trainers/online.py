"""The online trainer: reads samples as they come, trains once on each, publishes every few seconds.

It keeps its positions in the log inside the model's checkpoint: after a crash, weights, progressive
metrics and positions are of one moment, and each sample takes effect exactly once.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
import ray.train
import torch
from ray.train import Checkpoint, CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.backend import Backend
from ray.train.torch import TorchConfig, TorchTrainer
from redis import Redis

from headrace import config
from headrace.broker.topics import create_topics
from headrace.catalogue.files import read_items
from headrace.catalogue.vectors import ContentVectors
from headrace.catalogue.words import ContentTable
from headrace.clock import now_ms
from headrace.errors import HeadraceError, LogMismatch
from headrace.features.schema import INPUT_SCHEMA
from headrace.learning.guarded_learner import GuardedLearner, Pace
from headrace.learning.learner import OnlineLearner
from headrace.monitoring.progress import ProgressBoard
from headrace.monitoring.status import StatusBoard
from headrace.registry.manifest import Manifest
from headrace.registry.publisher import Publisher
from headrace.services.priority import SETUP_HOOK
from headrace.stream.memory import ONE_HEAP, give_back
from trainers.recipe import check_continues, ranker_config
from trainers.sample_log import SampleReader, take_refusal, tell_refusal

STATUS_EVERY_MS = 500
GIVE_BACK_EVERY_MS = 60_000  # memory that is free
MAX_ARRIVALS = 256  # arrival times kept per version, to measure the freshness of models
MAX_HELD_ARRIVALS = 10_000  # while versions are held
STATE_FILE = "trainer.pt"

log = logging.getLogger(__name__)


class OnlineTrainer:
    """Samples in, published versions out; `state` is all that a restart needs."""

    def __init__(self, settings: config.Settings, clock: Callable[[], int]) -> None:
        self._settings, self._clock = settings, clock
        torch.set_num_threads(1)
        self._redis = redis = Redis.from_url(settings.redis_url)
        vectors = ContentVectors.of(settings)
        self._content = ContentTable(read_items(config.catalogue_path(settings)), vectors)
        self._config = ranker_config(settings, vectors)
        pace = Pace(
            settings.batch_size,
            settings.progressive_window,
            patience_ms=round(1_000 * settings.guard_patience_s),
        )
        self._guarded = GuardedLearner(self._config, self._content, settings.model_seed, pace)
        self._samples = SampleReader(settings, clock)
        self._publisher = Publisher(settings, redis)
        self._status = StatusBoard(redis, settings.namespace)
        self._progress = {
            name: ProgressBoard(redis, settings.namespace, name) for name in settings.head_names
        }
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
        """Read what came; train when a batch is full or old; publish and report when due."""
        self._samples.poll()
        now = self._clock()
        if self._samples.is_due():
            self._train()
        if self._arrivals_ms and now - self._published_ms >= 1_000 * self._settings.publish_every_s:
            self._publish_or_hold(now)
        if now - self._status_ms >= STATUS_EVERY_MS:
            self._report(now)

    def state(self) -> dict[str, Any]:
        """Weights, optimizer, progressive window and positions, of this moment."""
        state = {"guarded": self._guarded.state(), "samples": self._samples.state()}
        return {**state, "newest_event_ms": self._newest_event_ms, "schema": INPUT_SCHEMA}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state` described.

        Weights of another input schema are of other columns: where it has changed, a new model
        begins with the samples that come from then on; so it does where the checkpoint is of a
        build whose learner had no guard.
        """
        if state["schema"] == INPUT_SCHEMA and "guarded" in state:
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
        self._samples.close()
        self._publisher.close()
        self._redis.close()

    def _train(self) -> None:
        samples = self._guarded.learn(self._samples.take())
        self.is_worth_saving = False
        newest_ms = max((sample.event_time_ms for sample in samples), default=0)
        self._newest_event_ms = max(self._newest_event_ms, newest_ms)
        self._arrivals_ms += [sample.arrival_ms for sample in samples]

    def _publish_or_hold(self, now: int) -> None:
        """Publish what has been learned, unless the guard holds it; serving keeps what it has."""
        before, self.held = self.held, self._guarded.verdict(now)
        self._published_ms = now
        if not self.held:
            if before:
                log.warning("versions are published again: the guard has nothing against them")
            self._publish(now)
            return
        del self._arrivals_ms[:-MAX_HELD_ARRIVALS]
        if not before:
            log.warning("a version is held, %d is served on: %s", self.version, self.held)
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
            token_tables=self._content.vectors.names,
            num_samples=self.learner.num_samples,
            newest_event_ms=self._newest_event_ms,
            arrivals_ms=tuple(self._arrivals_ms[::step]),
        )
        weights = self.learner.weights()
        self.version = self._publisher.publish(weights, manifest).version
        self._guarded.published(weights)
        self._arrivals_ms = []
        if now - self._good_ms >= 1_000 * self._settings.checkpoint_every_s:
            self._guarded.remember()
            self._good_ms, self._good_version = now, self.version
            self.is_worth_saving = True

    def _report(self, now: int) -> None:
        self._status_ms = now
        for head, board in self._progress.items():
            windows = self.learner.take_windows(head)
            board.write({n: scores for n, scores in windows.items() if scores.num_samples})
        left_out, given_up = self._guarded.limit.num_left_out, self._guarded.num_rolled_back
        document = {
            "lag": self._samples.lag(),
            "samples": self.learner.num_samples + left_out + given_up,
            "left_out": left_out,
            "given_up": given_up,
            "held": self.held,
            "unreadable_samples": self._samples.num_unreadable,
            "lost_messages": self._samples.num_lost,
            "skipped": self._samples.skipped.report(),
            "skipped_batches": self.learner.num_skipped,
            "version": self.version,
            "ids": {name: len(table) for name, table in self.learner.ranker.tables.items()},
        }
        self._status.write("train", document, now)


class OneWorkerTorch(TorchConfig):  # type: ignore[misc]  # Ray is not typed here
    """No process group: one worker has nobody to talk to, and torch's store would listen on every
    interface of the machine."""

    @property
    def backend_cls(self) -> type[Backend]:
        backend: type[Backend] = Backend
        return backend


def train_loop(loop_config: dict[str, Any]) -> None:
    """What the Ray Train worker runs: restore, then step for ever, saving now and then.

    What is saved was published, or had been when the learner went back to it: a restart never goes
    on from a version that was held. It ends only where the log is not that of the positions.
    """
    settings: config.Settings = loop_config["settings"]
    trainer = OnlineTrainer(settings, now_ms)
    checkpoint = ray.train.get_checkpoint()
    if checkpoint:
        with checkpoint.as_directory() as folder:
            trainer.load_state(torch.load(Path(folder) / STATE_FILE, weights_only=True))
    gave_back_ms = now_ms()
    try:
        while True:
            trainer.step()
            if now_ms() - gave_back_ms >= GIVE_BACK_EVERY_MS:
                give_back()
                gave_back_ms = now_ms()
            if trainer.is_worth_saving:
                _save(trainer)
    except LogMismatch as error:
        tell_refusal(settings, str(error))


def _save(trainer: OnlineTrainer) -> None:
    trainer.is_worth_saving = False
    with tempfile.TemporaryDirectory() as folder:
        torch.save(trainer.state(), Path(folder) / STATE_FILE)
        ray.train.report(
            {"samples": trainer.learner.num_samples}, checkpoint=Checkpoint.from_directory(folder)
        )


def _end(*_: object) -> None:
    """End now: a run may end at any moment, its checkpoints are complete."""
    ray.shutdown()
    os._exit(0)


def main() -> int:
    """`headrace train`: one run per namespace; starting it again resumes at its last checkpoint."""
    settings = config.load()
    try:
        read_items(config.catalogue_path(settings))
        ranker_config(settings, ContentVectors.of(settings))
        create_topics(settings)
        check_continues(settings)
    except HeadraceError as error:
        print(f"headrace train: {error}", file=sys.stderr)
        return 2
    ray.init(**config.ray_options(SETUP_HOOK))
    signal.signal(signal.SIGTERM, _end)  # after ray.init, whose own handler aborts the process
    trainer = TorchTrainer(
        train_loop,
        train_loop_config={"settings": settings},
        torch_config=OneWorkerTorch(),
        scaling_config=ScalingConfig(num_workers=1),
        run_config=RunConfig(
            name=f"{settings.namespace}-online",
            storage_path=str(settings.home_path / "train"),
            failure_config=FailureConfig(max_failures=-1),
            checkpoint_config=CheckpointConfig(num_to_keep=3),
            worker_runtime_env=ONE_HEAP,
        ),
    )
    trainer.fit()  # ends by itself only where the loop refused to go on
    print(f"headrace train: {take_refusal(settings)}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
