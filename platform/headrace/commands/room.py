"""Commands of the rooms above the core, which are run as modules and never imported from here."""

from __future__ import annotations

import argparse
import runpy
import sys
from collections.abc import Callable, Sequence
from typing import Final

from headrace import config
from headrace.commands.flags import check_services
from headrace.rooms.folder import open_rooms
from headrace.services.processes.priority import yield_to_requests

IN_BACKGROUND: Final = {"trainers.job", "trainers.backfill", "trainers.encode", "trainers.arrivals"}

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
