"""`headrace train`: one Ray Train run per namespace, which resumes at its last checkpoint.

What its worker does is in `trainers.online`; here is how it is started, saved and ended.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

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
from headrace.clock import now_ms
from headrace.errors import ConfigError, HeadraceError, LogMismatch
from headrace.features.rows.namespace_actions import bind_actions
from headrace.services.processes.ray_worker import BACKGROUND
from headrace.stream.memory import ONE_HEAP, give_back
from trainers.online import OnlineTrainer
from trainers.recipe import check_continues, ranker_config

GIVE_BACK_EVERY_MS: Final = 60_000  # memory that is free
KEEP_S: Final = 3_600
STATE_FILE: Final = "trainer.pt"


class OneWorkerTorch(TorchConfig):  # type: ignore[misc]  # Ray is not typed here
    """No process group: one worker has nobody to talk to, and torch's store would listen on every
    interface of the machine."""

    @property
    def backend_cls(self) -> type[Backend]:
        backend: type[Backend] = Backend
        return backend


def train_loop(loop_config: dict[str, Any]) -> None:
    """The training loop of the Ray Train worker: restore, then step for ever, saving now and then.

    What is saved was published, or had been when the learner went back to it: a restart never goes
    on from a version that was held. It ends only where the checkpoint is of another ranker, or the
    log is not that of its positions.
    """
    settings: config.Settings = loop_config["settings"]
    trainer, gave_back_ms = OnlineTrainer(settings, now_ms), now_ms()
    try:
        bind_actions(settings)
        if checkpoint := ray.train.get_checkpoint():
            with checkpoint.as_directory() as folder:
                trainer.load_state(torch.load(Path(folder) / STATE_FILE, weights_only=True))
        while True:
            trainer.step()
            if now_ms() - gave_back_ms >= GIVE_BACK_EVERY_MS:
                give_back()
                gave_back_ms = now_ms()
            if trainer.is_worth_saving:
                _save(trainer)
    except (ConfigError, LogMismatch) as error:
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
    ray.init(**config.ray_options(BACKGROUND))
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


def tell_refusal(settings: config.Settings, reason: str) -> None:
    """Leave word for `headrace train` why its loop will not go on; Ray Train would try again."""
    with Redis.from_url(settings.redis_url) as redis:
        redis.set(_refusal_name(settings), reason, ex=KEEP_S)


def take_refusal(settings: config.Settings) -> str:
    """The word that a loop left."""
    with Redis.from_url(settings.redis_url) as redis:
        return (redis.getdel(_refusal_name(settings)) or b"the loop ended by itself").decode()


def _refusal_name(settings: config.Settings) -> str:
    return f"{settings.namespace}:train:refusal"


if __name__ == "__main__":
    sys.exit(main())
