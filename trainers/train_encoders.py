"""`headrace train-encoders`: a Ray Train run per encoder, resumed at its last epoch.

The values are read once, here, and mapped by the workers from a file; each worker has its share of
them, and their gradients are averaged.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import threading
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import ray
import ray.train
import torch
from ray.train import Checkpoint, CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer
from torch import distributed, nn

from headrace import config
from headrace.encoders.trained import saved
from headrace.encoders.trained.recipes import RECIPES
from headrace.errors import HeadraceError
from headrace.learning.encoder_fit import EncoderFit, FitConfig
from headrace.services.processes.ray_worker import BACKGROUND
from headrace.services.ray_node import wait_for_own_ray
from trainers.examples import of_catalogue, of_file, read_examples
from trainers.job import OneWorker

STATE_FILE: Final = "fit.pt"
PROGRESS_FILE: Final = "progress.json"
SAY_EVERY_S: Final = 2.0
SHOWN_PROBLEMS: Final = 20


def train_loop(job: dict[str, Any]) -> None:
    """The work of each worker: epochs over its share, with a checkpoint after each."""
    torch.set_num_threads(1)
    context = ray.train.get_context()
    rank, num_workers = context.get_world_rank(), context.get_world_size()
    recipe, folder = RECIPES[job["encoder"]], Path(job["folder"])
    inputs, label_N = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("read", "label"))
    num_each = -(-len(label_N) // num_workers)  # the same for each, or they would wait for ever
    rows = np.resize(np.arange(rank, len(label_N), num_workers), num_each)
    share, own_label_N = torch.from_numpy(inputs[rows]), torch.from_numpy(label_N[rows])
    device = "cuda" if ray.get_gpu_ids() else "cpu"  # what was assigned, not what is there
    fit_config = FitConfig(num_epochs=job["num_epochs"], seed=job["seed"])
    fit = EncoderFit(recipe, job["num_classes"], num_each, fit_config, device)
    if num_workers > 1:
        fit.after_backward = average_gradients
    if checkpoint := ray.train.get_checkpoint():
        with checkpoint.as_directory() as kept:
            fit.load(torch.load(Path(kept) / STATE_FILE, map_location=device, weights_only=True))
    while fit.num_epochs_done < fit_config.num_epochs:
        loss = fit.epoch(share, own_label_N)
        _report(fit, loss, folder if rank == 0 else None)
    if rank == 0:
        saved.save(recipe, fit.model.network, Path(job["weights"]))


def average_gradients(model: nn.Module) -> None:
    """Puts the mean over all workers in place of each gradient."""
    for parameter in model.parameters():
        distributed.all_reduce(parameter.grad)
        assert parameter.grad is not None
        parameter.grad /= distributed.get_world_size()


def _report(fit: EncoderFit, loss: float, folder: Path | None) -> None:
    """One checkpoint an epoch, of the first worker: the others have the same weights."""
    metrics = {"epoch": fit.num_epochs_done, "loss": loss}
    if folder is None:
        ray.train.report(metrics)
        return
    with tempfile.TemporaryDirectory() as kept:
        torch.save(fit.state(), Path(kept) / STATE_FILE)
        ray.train.report(metrics, checkpoint=Checkpoint.from_directory(kept))
    (folder / PROGRESS_FILE).write_text(json.dumps(metrics))


def train(name: str, options: argparse.Namespace, settings: config.Settings) -> None:
    """Read the values, run the workers, and leave the weights for `headrace encode`."""
    recipe = RECIPES[name]
    rows = (
        of_file(options.files, recipe.modality)
        if options.files
        else of_catalogue(settings, recipe.modality)
    )
    examples = read_examples(recipe, rows)
    for one, problem in islice(examples.problems.items(), SHOWN_PROBLEMS):
        print(f"{one!r}: {recipe.modality}: {problem}", file=sys.stderr)
    told = f"{name}: {len(examples.label_N):,} values, {len(examples.labels)} labels"
    print(f"{told}, {len(examples.problems):,} unreadable", file=sys.stderr, flush=True)
    run_name = f"{name}-{examples.digest}-{options.epochs}-{options.seed}-{options.workers}"
    folder = settings.home_path / "train-encoders" / run_name
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "read.npy", examples.read_N)
    np.save(folder / "label.npy", examples.label_N)
    job = {
        "encoder": name,
        "folder": str(folder),
        "num_epochs": options.epochs,
        "seed": options.seed,
        "num_classes": len(examples.labels),
        "weights": str(config.encoders_path(settings)),
    }
    _run(job, run_name, options.workers)
    encoder = saved.load(recipe, config.encoders_path(settings))
    print(f"{name}/{encoder.version} is trained: `headrace encode --encoder {name}` uses it")


def _run(job: dict[str, Any], run_name: str, num_workers: int) -> None:
    """The Ray Train run of a job, whose progress is told meanwhile."""
    use_gpu = ray.cluster_resources().get("GPU", 0) >= num_workers
    trainer = (OneWorker if num_workers == 1 else TorchTrainer)(
        train_loop,
        train_loop_config=job,
        scaling_config=ScalingConfig(num_workers=num_workers, use_gpu=use_gpu),
        run_config=RunConfig(
            name=run_name,
            storage_path=str(Path(job["folder"]).parent / "runs"),
            failure_config=FailureConfig(max_failures=3),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
        ),
    )
    ended = threading.Event()
    threading.Thread(target=_tell, args=(job, ended), daemon=True).start()
    try:
        trainer.fit()
    finally:
        ended.set()


def _tell(job: dict[str, Any], ended: threading.Event) -> None:
    """Say each epoch's loss, as the first worker wrote it."""
    said, path = "", Path(job["folder"]) / PROGRESS_FILE
    while not ended.wait(SAY_EVERY_S):
        text = path.read_text() if path.exists() else ""
        if text and text != said:
            said, now = text, json.loads(text)
            line = f"{job['encoder']}: epoch {now['epoch']} of {job['num_epochs']}"
            print(f"{line}, loss {now['loss']:.3f}", file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    """The arguments as the command passes them on."""
    parser = argparse.ArgumentParser(prog="headrace train-encoders")
    parser.add_argument("--encoder", action="append", required=True)
    parser.add_argument("--files", type=Path)
    for name in ("epochs", "workers", "seed"):
        parser.add_argument(f"--{name}", type=int, required=True)
    return parser.parse_args()


def main() -> int:
    """`headrace train-encoders`: each encoder after the other."""
    options, settings = _options(), config.load()
    try:
        wait_for_own_ray()
        ray.init(**config.ray_options(BACKGROUND))
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # Ray's own aborts the process
        for name in options.encoder:
            train(name, options, settings)
    except HeadraceError as error:
        print(f"headrace train-encoders: {error}", file=sys.stderr)
        return 2
    except ray.train.TrainingFailedError as error:
        reason = str(error).strip().splitlines()[-1]
        print(f"headrace train-encoders: the workers ended: {reason}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
