"""`make bench ARGS="NAME --json FILE"`: run one benchmark and write what it measured."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import (
    catalogue,
    cold_start,
    draws,
    embedding,
    exploration,
    faults,
    features,
    index,
    kills,
    likes,
    load_files,
    loop,
    parity,
    quality,
    ranker,
    shops,
    start,
    stream,
)
from benchmarks.front import parts as front
from benchmarks.serving import parts as serving
from headrace.errors import HeadraceError

Flags = argparse.Namespace

BENCHMARKS: dict[str, Callable[[Flags], dict[str, Any]]] = {
    "catalogue": catalogue.run,
    "cold_start": cold_start.run,
    "exploration": exploration.run,
    "features": lambda _: features.run(),
    "index": lambda _: index.run(),
    "draws": lambda _: draws.run(),
    "embedding": lambda _: embedding.run(),
    "shops": lambda _: shops.run(),
    "start": lambda _: start.run(),
    "stream": lambda _: stream.run(),
    "load": load_files.run,
    "loop": lambda _: loop.run(),
    "faults": lambda _: faults.run(),
    "kills": lambda _: kills.run(),
    "likes": lambda _: likes.run(),
    "parity": lambda _: parity.run(),
    "ranker": lambda _: ranker.run(),
    "quality": quality.run,
    "front": front.run,
    "serving": serving.run,
}
FLAGS = {
    "catalogue": catalogue.add_flags,
    "quality": quality.add_flags,
    "front": front.add_flags,
    "serving": serving.add_flags,
    "load": load_files.add_flags,
}


def main() -> None:
    """Run the benchmark that the command line names."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="name", required=True, metavar="NAME")
    for name in sorted(BENCHMARKS):
        command = commands.add_parser(name)
        command.add_argument("--json", type=Path, metavar="FILE")
        FLAGS.get(name, lambda _: None)(command)
    options = parser.parse_args()
    try:
        result = json.dumps(BENCHMARKS[options.name](options), indent=2)
    except HeadraceError as error:
        sys.exit(f"benchmarks: {error}")
    print(result)
    if options.json:
        options.json.write_text(result + "\n")


if __name__ == "__main__":
    main()
