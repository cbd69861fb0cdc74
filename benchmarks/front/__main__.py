"""`python -m benchmarks.front PART [--quick] [--json FILE]`: one part, or all."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks.front.parts import PARTS, add_flags, run
from headrace.errors import HeadraceError


def main() -> None:
    """Run the part that the command line names and print what it measured."""
    parser = argparse.ArgumentParser(prog="benchmarks.front", description=__doc__)
    parser.add_argument("part", choices=["all", *PARTS])
    parser.add_argument("--json", type=Path, metavar="FILE")
    add_flags(parser)
    options = parser.parse_args()
    try:
        result = json.dumps(run(options), indent=2)
    except HeadraceError as error:
        sys.exit(f"benchmarks.front: {error}")
    print(result)
    if options.json:
        options.json.write_text(result + "\n")


if __name__ == "__main__":
    main()
