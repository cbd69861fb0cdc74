"""Weights of trained encoders on disk: a file each, named as the encoder is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import torch
from torch import nn

from headrace.encoders.trained.encoder import TrainedEncoder
from headrace.encoders.trained.recipe import Recipe
from headrace.errors import DatasetError

RECIPE_VERSION: Final = "recipe_version"
WEIGHTS: Final = "weights"


def save(recipe: Recipe, network: nn.Module, folder: Path) -> None:
    """Writes the weights of the recipe's network, in place of those that were there."""
    folder.mkdir(parents=True, exist_ok=True)
    written = folder / f".{recipe.name}.{os.getpid()}"
    torch.save({RECIPE_VERSION: recipe.version, WEIGHTS: network.state_dict()}, written)
    written.replace(_file(recipe, folder))


def load(recipe: Recipe, folder: Path, device: str = "cpu") -> TrainedEncoder:
    """The encoder with the weights in `folder`; raises `DatasetError` where there are none."""
    path = _file(recipe, folder)
    remedy = f"train it with `headrace train-encoders --encoder {recipe.name}`"
    if not path.is_file():
        raise DatasetError(f"encoder {recipe.name} has no weights in {folder}: {remedy}")
    network = recipe.network()
    try:
        kept = torch.load(path, map_location="cpu", weights_only=True)
        if kept[RECIPE_VERSION] != recipe.version:
            raise ValueError(f"recipe {kept[RECIPE_VERSION]}, expected {recipe.version}")
        network.load_state_dict(kept[WEIGHTS])
    except Exception as error:  # whatever a damaged file makes torch raise
        reason = " ".join(str(error).split())[:200]
        raise DatasetError(f"{path}: no weights of {recipe.name}: {reason}: {remedy}") from None
    return TrainedEncoder(recipe, network, device)


def _file(recipe: Recipe, folder: Path) -> Path:
    return folder / f"{recipe.name}.pt"
