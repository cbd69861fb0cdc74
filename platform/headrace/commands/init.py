"""`headrace init`: an application file for a folder, guessed from its files, with reasons.

What cannot be known is asked on a terminal; elsewhere it is marked in the file and listed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import yaml

from headrace import config
from headrace.application.document import FILE
from headrace.datasets.draft.choice import Draft
from headrace.datasets.draft.draft import drafted
from headrace.datasets.draft.page import page_of, text_of
from headrace.errors import ConfigError

NOT_KNOWN: Final = 2  # the exit code where something is left to say
Ask = Callable[[str], str]


def add_init(commands: Any) -> None:
    """Add `init` to the command line."""
    init = commands.add_parser(
        "init", help="write headrace.yaml for a folder of files, by looking at them"
    )
    init.add_argument("folder", type=Path, metavar="FOLDER", help="a folder with your files")
    init.add_argument("--force", action="store_true", help="replace the file that is there")
    init.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="what you know, such as events.user_id=client or events.money.currency=EUR; may be "
        "repeated",
    )
    init.set_defaults(run=_init)


def _init(options: argparse.Namespace, settings: config.Settings) -> int:
    """0 where all is known or guessed, 2 where the file has marks to fill in."""
    folder: Path = options.folder
    if not folder.is_dir():
        raise ConfigError(f"{folder}: there is no such folder; expected one with your files")
    path = folder / FILE
    if path.exists() and not options.force:
        raise ConfigError(f"{path} is there: edit it, or give --force to replace it")
    draft = drafted(folder, dict(map(_answer, options.set)))
    if sys.stdin.isatty() and sys.stdout.isatty():
        ask(draft, input)
    path.write_text(page_of(draft), encoding="utf-8")
    for line in _said(draft):
        print(line)
    print(f"wrote {path}")
    if left := draft.open():
        for name, choice in left:
            print(f"headrace init: {name}: {choice.question}", file=sys.stderr)
        print(
            f"headrace init: fill in the lines with # ? in {path}, or give --set", file=sys.stderr
        )
        return NOT_KNOWN
    print(f"next: headrace check --data {folder}")
    return 0


def ask(draft: Draft, answer: Ask) -> None:
    """Ask a person for each thing that is not known; an empty answer leaves it open."""
    for path, choice in draft.open():
        print(f"{path}: {choice.question}")
        for number, option in enumerate(choice.options, 1):
            print(f"  {number}  {option}")
        text = answer("> ").strip()
        if text.isdigit() and 0 < int(text) <= len(choice.options):
            text = choice.options[int(text) - 1]
        if text:
            draft.answer(path, _value(text))


def _answer(text: str) -> tuple[str, Any]:
    """The path and value of a --set."""
    path, equals, value = text.partition("=")
    if not equals or "." not in path:
        raise ConfigError(f"--set {text}: expected PATH=VALUE, such as events.user_id=client")
    return path.strip(), _value(value)


def _value(text: str) -> Any:
    """A value as YAML has it; what is no YAML is taken as it is."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _said(draft: Draft) -> list[str]:
    """Each choice with its reason."""
    lines = [
        f"{path}: {text_of(choice.value)}" + (f"  ({choice.why})" if choice.why else "")
        for path, choice in draft.choices()
    ]
    return [*lines, *draft.notes]
