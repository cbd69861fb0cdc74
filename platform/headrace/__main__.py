"""`headrace` and `python -m headrace`: the command line, where the application file can be read."""

from __future__ import annotations

import os
import sys

from headrace.errors import ConfigError


def main() -> int:
    """Run one command: its exit code, or 2 where the file that HEADRACE_APP names is wrong.

    What is made of its actions is made when the commands are imported, so it is refused by then;
    without it, all that is wrong with it can be told.
    """
    try:
        from headrace import cli
    except ConfigError:
        return _refuse(os.environ.pop("HEADRACE_APP"))
    return cli.main()


def _refuse(given: str) -> int:
    from headrace.application.document import path_of
    from headrace.commands.application import check

    try:
        check(path_of(given))
    except ConfigError as error:
        print(f"headrace: {error}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
