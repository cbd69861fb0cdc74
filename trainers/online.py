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

import numpy as np
import ray
import ray.train
import torch
from ray.train import Checkpoint, CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.backend import Backend
from ray.train.torch import TorchConfig, TorchTrainer
from redis import Redis

from headrace import config
from headrace.broker import LogReader, Record, Topics, create_topics
from headrace.clock import now_ms
from headrace.datasets.catalogue import read_items
from headrace.errors import HeadraceError
from headrace.features.table import SCHEMA
from headrace.memory import give_back
from headrace.model.batch import batch_of_samples
from headrace.model.content_vectors import ContentVectors
from headrace.model.learner import OnlineLearner
from headrace.model.tokens import ContentTable
from headrace.progress import ProgressBoard
from headrace.registry import Manifest, Publisher
from headrace.sample import Sample, decode_batch
from headrace.status import StatusBoard
from trainers.recipe import check_continues, ranker_config

STATUS_EVERY_MS = 500
GIVE_BACK_EVERY_MS = 60_000  # memory that is free
MAX_ARRIVALS = 256  # arrival times kept per version, to measure the freshness of models
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
        self.learner = OnlineLearner(self._config, settings.model_seed, settings.progressive_window)
        self._publisher = Publisher(settings, redis)
        self._status = StatusBoard(redis, settings.namespace)
        self._progress = {
            name: ProgressBoard(redis, settings.namespace, name) for name in settings.head_names
        }
        self._positions = dict.fromkeys(range(settings.num_partitions), 0)
        self._taken: dict[tuple[int, int], int] = {}  # last source offset per (partition, lane)
        self._pending: list[Sample] = []
        self._pending_since_ms = clock()
        self._arrivals_ms: list[int] = []
        self._newest_event_ms = 0
        self.version = self._num_unreadable = 0
        self._published_ms = self._status_ms = clock()
        self._reader: LogReader | None = None

    def step(self) -> None:
        """Read what came; train when a batch is full or old; publish and report when due."""
        if self._reader is None:
            self._reader = LogReader(
                self._settings,
                Topics(self._settings.namespace).samples,
                self._positions,
                max_records=self._settings.batch_size,
            )
        now = self._clock()
        for record in self._reader.poll(timeout_ms=50):
            if not self._pending:
                self._pending_since_ms = now
            self._take(record)
        pending = sum(sample.num_impressions for sample in self._pending)
        waited_ms = now - self._pending_since_ms
        if pending >= self._settings.batch_size or (
            pending and waited_ms >= 1_000 * self._settings.batch_wait_s
        ):
            self._train()
        if self._arrivals_ms and now - self._published_ms >= 1_000 * self._settings.publish_every_s:
            self._publish(now)
        if now - self._status_ms >= STATUS_EVERY_MS:
            self._report(now, self._reader.lag() if self._reader.has_answers() else None)

    def state(self) -> dict[str, Any]:
        """Weights, optimizer, progressive window and positions, of this moment."""
        if self._pending:
            self._train()
        self._write_progress()
        return {
            "learner": self.learner.state(),
            "positions": self._positions,
            "taken": self._taken,
            "newest_event_ms": self._newest_event_ms,
            "schema": SCHEMA,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state` described.

        Weights of another feature table are of other columns: where the table has changed, a new
        model begins with the samples that come from then on.
        """
        if state["schema"] == SCHEMA:
            self.learner.load_state(state["learner"])
        else:
            log.warning(
                "the checkpoint has feature schema %08x, this build has %08x: a new model begins, "
                "with the samples from here on; serving has none until it is published",
                *(state["schema"], SCHEMA),
            )
        self._positions, self._taken = state["positions"], state["taken"]
        self._newest_event_ms = state["newest_event_ms"]

    def close(self) -> None:
        """Leave the servers; the state is not saved."""
        if self._reader:
            self._reader.close()
        self._publisher.close()
        self._redis.close()

    def _write_progress(self) -> None:
        for head, board in self._progress.items():
            windows = self.learner.take_windows(head)
            board.write({n: scores for n, scores in windows.items() if scores.num_samples})

    def _take(self, record: Record) -> None:
        """Queue samples unless they were taken before: a stream worker may have sent them twice."""
        self._positions[record.partition] = record.offset + 1
        for sample in decode_batch(record.value):
            if sample.schema != SCHEMA:
                self._num_unreadable += 1
                if self._num_unreadable == 1:
                    log.warning(
                        "samples of feature schema %08x are skipped, this build has %08x; their "
                        "number is in the status (unreadable_samples)",
                        *(sample.schema, SCHEMA),
                    )
                continue
            lane = (sample.source_partition, sample.lane)
            if sample.source_offset > self._taken.get(lane, -1):
                self._taken[lane] = sample.source_offset
                self._pending.append(sample)

    def _train(self) -> None:
        """Train on what is pending, in batches of no more than about the size that was set."""
        while self._pending:
            sizes = np.cumsum([sample.num_impressions for sample in self._pending])
            num = max(1, int(np.searchsorted(sizes, self._settings.batch_size, side="right")))
            samples, self._pending = self._pending[:num], self._pending[num:]
            self.learner.learn(batch_of_samples(samples, self._content, self._config))
            newest_ms = max(sample.event_time_ms for sample in samples)
            self._newest_event_ms = max(self._newest_event_ms, newest_ms)
            self._arrivals_ms += [sample.arrival_ms for sample in samples]

    def _publish(self, now: int) -> None:
        step = -(-len(self._arrivals_ms) // MAX_ARRIVALS)
        manifest = Manifest(
            version=0,
            uri="",
            sha256="",
            created_ms=now,
            schema=SCHEMA,
            model=self._config,
            token_tables=self._content.vectors.names,
            num_samples=self.learner.num_samples,
            newest_event_ms=self._newest_event_ms,
            arrivals_ms=tuple(self._arrivals_ms[::step]),
        )
        self.version = self._publisher.publish(self.learner.weights(), manifest).version
        self._arrivals_ms, self._published_ms = [], now

    def _report(self, now: int, lag: int | None) -> None:
        self._status_ms = now
        self._write_progress()
        document = {
            "lag": None if lag is None else lag + len(self._pending),
            "samples": self.learner.num_samples,
            "unreadable_samples": self._num_unreadable,
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
    """What the Ray Train worker runs: restore, then step for ever, saving now and then."""
    settings: config.Settings = loop_config["settings"]
    trainer = OnlineTrainer(settings, now_ms)
    checkpoint = ray.train.get_checkpoint()
    if checkpoint:
        with checkpoint.as_directory() as folder:
            trainer.load_state(torch.load(Path(folder) / STATE_FILE, weights_only=True))
    saved_ms, saved_samples = now_ms(), trainer.learner.num_samples
    gave_back_ms = now_ms()
    while True:
        trainer.step()
        due = now_ms() - saved_ms >= 1_000 * settings.checkpoint_every_s
        if now_ms() - gave_back_ms >= GIVE_BACK_EVERY_MS:
            give_back()
            gave_back_ms = now_ms()
        if due and trainer.learner.num_samples > saved_samples:
            _save(trainer)
            saved_ms, saved_samples = now_ms(), trainer.learner.num_samples


def _save(trainer: OnlineTrainer) -> None:
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
    ray.init(**config.ray_options())
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
        ),
    )
    trainer.fit()
    return 0


if __name__ == "__main__":
    sys.exit(main())
