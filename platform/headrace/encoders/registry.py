"""The encoders by name: the modules of `pretrained`, each with a function `load`, and `TRAINED`."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from pathlib import Path
from typing import Final

from headrace.catalogue.content import MODALITIES
from headrace.encoders import pretrained
from headrace.encoders.encoder import Encoder, Setup
from headrace.errors import ConfigError

# The names of the recipes, which are known without torch.
TRAINED: Final = (
    *("audio_cnn", "audio_dnn", "image_resnet"),
    *("text_lstm", "text_bilstm", "text_transformer"),
)


def names() -> list[str]:
    """The names of all encoders; none of them is loaded."""
    return [*(one.name for one in pkgutil.iter_modules(pretrained.__path__)), *TRAINED]


def check(name: str) -> None:
    """Raises `ConfigError` unless there is an encoder of this name."""
    if name not in names():
        raise ConfigError(f"no encoder {name!r}; known: {', '.join(names())}")


def load(name: str, setup: Setup | None = None) -> Encoder:
    """The encoder of this name, ready to use; weights are downloaded the first time.

    Raises `ConfigError` for a name that is none, `DatasetError` when there are no weights.
    """
    check(name)
    setup = setup or Setup()
    if name in TRAINED:
        from headrace.encoders.trained import recipes, saved

        return saved.load(recipes.RECIPES[name], Path(setup.trained_folder), setup.device)
    encoder: Encoder = import_module(f"{pretrained.__name__}.{name}").load(setup)
    if encoder.modality not in MODALITIES:
        raise ConfigError(
            f"encoder {name!r} is for {encoder.modality!r}: expected one of {', '.join(MODALITIES)}"
        )
    return encoder
