"""The Ray Train worker: restores a checkpoint, steps for ever, and saves now and then."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

import ray.train
import torch
from ray.train import Checkpoint

from headrace.clock import now_ms
from headrace.config import Settings
from headrace.errors import ConfigError, LogMismatch
from headrace.features.rows.namespace_actions import bind_actions
from headrace.stream.memory import give_back
from trainers.online import OnlineTrainer
from trainers.refusal import tell_refusal

GIVE_BACK_EVERY_MS: Final = 60_000  # memory that is free
STATE_FILE: Final = "trainer.pt"


def run(settings: Settings) -> None:
    """The training loop: restore, then step for ever, saving now and then.

    What is saved was published, or had been when the learner went back to it: a restart never goes
    on from a version that was held. It ends only where the checkpoint is of another ranker, or the
    log is not that of its positions.
    """
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
