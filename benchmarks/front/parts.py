"""The parts of the benchmark named front, by name; each starts platforms of its own."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.front import event_loop, faults, foreign, lost, memory, one_connection, overload

PARTS: dict[str, Callable[[bool], dict[str, Any]]] = {
    "lost": lost.run,
    "faults": faults.run,
    "overload": overload.run,
    "memory": memory.run,
    "foreign": foreign.run,
    "p50": one_connection.run,
    "loop": event_loop.run,
}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `run`."""
    parser.add_argument("--quick", action="store_true", help="prove each part in about a minute")
    parser.add_argument(
        "--other",
        type=Path,
        metavar="CHECKOUT",
        help="compare p50 with the code of another checkout, in alternating rounds",
    )


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The figures of the part in `options.part`, or of all: about forty minutes on two cores."""
    parts = dict(PARTS)
    if options.other:
        parts["p50"] = partial(one_connection.run, other=options.other.resolve())
    wanted = getattr(options, "part", "all")
    figures: dict[str, Any] = {}
    series: dict[str, Any] = {}
    for name, part in parts.items():
        if wanted in ("all", name):
            print(f"front: {name}", file=sys.stderr, flush=True)
            found = part(options.quick)
            series |= found.pop("series")
            figures |= found
    return {**figures, "series": series}
