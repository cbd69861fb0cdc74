"""Commands of the rooms above the core, which are run as modules and never imported from here."""

from __future__ import annotations

import argparse
import runpy
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from headrace import config
from headrace.commands.flags import check_services
from headrace.encoders.registry import TRAINED
from headrace.errors import ConfigError
from headrace.rooms.folder import open_rooms
from headrace.services.processes.priority import yield_to_requests

IN_BACKGROUND: Final = {
    *("trainers.job", "trainers.backfill", "trainers.encode", "trainers.arrivals"),
    "trainers.train_encoders",
}
NUM_EPOCHS: Final = 40  # of an encoder's training

Command = Callable[[argparse.Namespace, config.Settings], int]
Arguments = Callable[[argparse.Namespace], Sequence[str]]


def module_command(name: str, arguments: Arguments = lambda options: ()) -> Command:
    """The command that a module of a room is, once the servers answer."""

    def run(options: argparse.Namespace, settings: config.Settings) -> int:
        check_services(settings)
        return run_module(name, settings, arguments(options))

    return run


def run_module(name: str, settings: config.Settings, arguments: Sequence[str] = ()) -> int:
    """Go on as `python -m headrace.rooms` would, in this process: it has imported half of it."""
    config.export(settings)
    config.keep_own_ray_local()
    if name in IN_BACKGROUND:
        yield_to_requests()
    open_rooms()
    sys.argv = [name, *arguments]
    runpy.run_module(name, run_name="__main__", alter_sys=True)
    return 0


def add_train_encoders(commands: Any) -> None:
    """Add `train-encoders` to the command line."""
    train = commands.add_parser(
        "train-encoders", help="train encoders of sounds, pictures and texts from scratch"
    )
    train.add_argument(
        "--encoder",
        action="append",
        required=True,
        metavar="NAME",
        help=f"{', '.join(TRAINED)}; may be repeated",
    )
    train.add_argument(
        "--files",
        type=Path,
        metavar="FILE",
        help="Parquet with a label and values of the modality (default: the catalogue's items, "
        "labelled by their first category)",
    )
    train.add_argument("--epochs", type=int, default=NUM_EPOCHS, metavar="N")
    train.add_argument("--workers", type=int, default=1, metavar="N", help="of Ray Train")
    train.add_argument("--seed", type=int, default=0, metavar="N")
    train.set_defaults(run=_train_encoders, writes_home=True)


def _train_encoders(options: argparse.Namespace, settings: config.Settings) -> int:
    for name in options.encoder:
        if name not in TRAINED:
            raise ConfigError(f"no encoder {name!r} to train; known: {', '.join(TRAINED)}")
    for flag in ("epochs", "workers"):
        if getattr(options, flag) < 1:
            raise ConfigError(f"--{flag} {getattr(options, flag)}: expected 1 or more")
    arguments = [word for name in options.encoder for word in ("--encoder", name)]
    if options.files:
        arguments += ["--files", str(options.files.absolute())]
    for flag in ("epochs", "workers", "seed"):
        arguments += [f"--{flag}", str(getattr(options, flag))]
    return run_module("trainers.train_encoders", settings, arguments)
