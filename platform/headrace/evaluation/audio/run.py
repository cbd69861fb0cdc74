"""Cross-validation of the sound encoders: each fold is judged by those trained on the others.

N clips   K classes
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor

from headrace.encoders.trained.audio import AUDIO_CNN, AUDIO_DNN
from headrace.encoders.trained.recipe import Recipe
from headrace.evaluation.audio.clips import Clips
from headrace.evaluation.progress import Progress
from headrace.learning.encoder_fit import EncoderFit, FitConfig, probabilities

RECIPES: Final = (AUDIO_CNN, AUDIO_DNN)


def evaluate_audio(
    clips: Clips, fit: FitConfig, recipes: Sequence[Recipe] = RECIPES
) -> dict[str, Any]:
    """The accuracy over all folds and of each, of the encoders together and of each alone.

    Together, a clip's class is that of the greatest mean of their probabilities. Nothing is chosen
    by the fold that is judged: the epochs are given.
    """
    started_s = time.monotonic()
    correct: dict[str, list[Tensor]] = {}
    folds = []
    known = sorted(set(clips.fold_N.tolist()))
    progress = Progress(len(known) * len(recipes) * fit.num_epochs, "epochs")
    for number, fold in enumerate(known):
        is_test_N = clips.fold_N == fold
        by_name = {}
        for at, recipe in enumerate(recipes):
            done = (number * len(recipes) + at) * fit.num_epochs
            by_name[recipe.name] = _of_fold(clips, is_test_N, (recipe, fit), (progress, done))
        by_name["all"] = torch.stack(list(by_name.values())).mean(dim=0)
        label_N = clips.label_N[is_test_N]
        for name, p_NK in by_name.items():
            correct.setdefault(name, []).append((p_NK.argmax(dim=1) == label_N).float())
        accuracy = {name: float(found[-1].mean()) for name, found in correct.items()}
        folds.append({"fold": fold, "clips": len(label_N), **_figures(accuracy)})
        print(f"judged: {folds[-1]}", file=sys.stderr, flush=True)
    total = {name: float(torch.cat(found).mean()) for name, found in correct.items()}
    return {
        **_figures(total),
        "folds": folds,
        "clips": len(clips.label_N),
        "labels": list(clips.labels),
        "unreadable": clips.problems,
        "num_epochs": fit.num_epochs,
        "seed": fit.seed,
        "seconds": round(time.monotonic() - started_s, 1),
    }


def to_text(result: dict[str, Any]) -> str:
    """The figures as a table: a line per fold, the last one of all clips."""
    names = list(result["encoders"])
    lines = [f"{'fold':>8} {'clips':>6} {'accuracy':>9}" + "".join(f"{n:>12}" for n in names)]
    for row in [*result["folds"], {**result, "fold": "all"}]:
        alone = "".join(f"{row['encoders'][name]:12.3f}" for name in names)
        lines.append(f"{row['fold']:>8} {row['clips']:>6} {row['accuracy']:9.3f}{alone}")
    return "\n".join(lines)


def _of_fold(
    clips: Clips, is_test_N: Tensor, how: tuple[Recipe, FitConfig], told: tuple[Progress, int]
) -> Tensor:
    """[N, K]: the probabilities of the fold's clips, by an encoder trained on all others."""
    (recipe, config), (progress, done) = how, told
    sound_NCMT, label_N = clips.sound_NCMT[~is_test_N], clips.label_N[~is_test_N]
    fit = EncoderFit(recipe, len(clips.labels), len(label_N), config)
    for epoch in range(config.num_epochs):
        fit.epoch(sound_NCMT, label_N)
        progress.say(done + epoch + 1, recipe.name)
    return probabilities(fit.model, clips.sound_NCMT[is_test_N])


def _figures(accuracy: dict[str, float]) -> dict[str, Any]:
    rounded = {name: round(value, 4) for name, value in accuracy.items()}
    return {"accuracy": rounded.pop("all"), "encoders": rounded}
