"""The page of a draft: a small YAML file with the reason for each guess."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import yaml

from headrace.datasets.draft.choice import Choice, Draft

WIDTH: Final = 100  # a reason that would be longer stands on a line of its own
HEAD: Final = """\
# The application, guessed by `headrace init` from the files of this folder: which column is what,
# and why. Lines with "# ?" are for you to fill in. All sections and keys: docs/application.md.
"""


def page_of(draft: Draft) -> str:
    """The draft as the text of an application file."""
    lines = [HEAD.rstrip("\n")]
    for name, section in draft.sections.items():
        lines.append("")
        if isinstance(section, Choice):
            lines += _lines(name, section, "")
        else:
            lines.append(f"{name}:")
            lines += [line for key, one in section.items() for line in _lines(key, one, "  ")]
    lines += ["", *(f"# {note}" for note in draft.notes)] if draft.notes else []
    return "\n".join(lines) + "\n"


def _lines(key: str, choice: Choice, indent: str) -> Iterator[str]:
    why = f"? {choice.question}" if choice.question else choice.why
    if choice.options and choice.question:
        why += f" ({', '.join(choice.options)})"
    line = f"{indent}{key}: {text_of(choice.value)}"
    if why and len(line) + len(why) + 4 > WIDTH:
        yield f"{indent}# {why}"
        yield line
    else:
        yield f"{line}  # {why}" if why else line


def text_of(value: Any) -> str:
    """A value in one line of YAML."""
    text = yaml.safe_dump(
        value, default_flow_style=True, sort_keys=False, width=10**6, allow_unicode=True
    )
    return text.removesuffix("\n").removesuffix("...").removesuffix("\n")
