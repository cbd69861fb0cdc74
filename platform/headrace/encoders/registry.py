"""The encoders by name: the modules of this folder, each with a function `load`."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import Final

from headrace import encoders
from headrace.encoders.encoder import Encoder, Setup
from headrace.errors import ConfigError

NO_ENCODERS: Final = {"encoder", "registry"}


def names() -> list[str]:
    """The names of all encoders; none of them is loaded."""
    found = pkgutil.iter_modules(encoders.__path__)
    return [one.name for one in found if not one.ispkg and one.name not in NO_ENCODERS]


def check(name: str) -> None:
    """Raises `ConfigError` unless there is an encoder of this name."""
    if name not in names():
        raise ConfigError(f"no encoder {name!r}; known: {', '.join(names())}")


def load(name: str, setup: Setup | None = None) -> Encoder:
    """The encoder of this name, ready to use; weights are downloaded the first time.

    Raises `ConfigError` for a name that is none, `DatasetError` when there are no weights.
    """
    check(name)
    encoder: Encoder = import_module(f"{encoders.__name__}.{name}").load(setup or Setup())
    return encoder
