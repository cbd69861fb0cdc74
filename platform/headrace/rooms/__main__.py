"""`python -m headrace.rooms serving`: runs a module of a room as `python -m` would."""

from __future__ import annotations

import runpy
import sys

from headrace.rooms.folder import open_rooms


def main() -> None:
    """Run the module that the first argument names, with the others."""
    open_rooms()
    runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
