"""`make bench ARGS="NAME --json FILE"`: run one benchmark and write what it measured."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import embedding, features, kills, loop, parity, ranker, stream

BENCHMARKS: dict[str, Callable[[], dict[str, Any]]] = {
    "features": features.run,
    "embedding": embedding.run,
    "stream": stream.run,
    "loop": loop.run,
    "kills": kills.run,
    "parity": parity.run,
    "ranker": ranker.run,
}


def main() -> None:
    """Run the benchmark that the command line names."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("name", choices=sorted(BENCHMARKS))
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    result = json.dumps(BENCHMARKS[options.name](), indent=2)
    print(result)
    if options.json:
        options.json.write_text(result + "\n")


if __name__ == "__main__":
    main()
