"""Templates: rows of features.yaml that stand for one row of each action with features.

    "user_{action}_rate":
      each: action
      but: [click]                    # actions without such a row
      rare: {strength: 20}            # variables, of actions that hardly ever come
      other: {strength: 10}           # and of all others
      row: {entity: user, aggregator: rate, measure: "{action}", strength: "{strength}", ...}

A text that is one variable has its value; within longer texts variables are written out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from headrace.application.action import Action
from headrace.application.document import shown
from headrace.application.reading import keys_of

EACH: Final = "each"
VARIABLE: Final = re.compile(r"\{(\w*)\}")
_KEYS: Final[dict[str, Any]] = {
    EACH: Literal["action"],
    "but": list[str],
    "rare": dict[str, int | float | str],
    "other": dict[str, int | float | str],
    "row": dict[str, Any],
}

Rows = dict[str, tuple[str, Any]]  # by name: the path in the file, and the keys


def expanded(section: Mapping[Any, Any], actions: Sequence[Action], problems: list[str]) -> Rows:
    """The rows of a section by name, each template in the place of its rows."""
    rows: Rows = {}
    for name, keys in section.items():
        path = f"features.{name}"
        if isinstance(keys, dict) and EACH in keys:
            found = dict(_of_each_action(str(name), keys, actions, problems))
        else:
            found = {str(name): (path, keys)}
        problems += [f"{path}: the name {one} is there twice" for one in found if one in rows]
        rows |= found
    return rows


def _of_each_action(
    name: str, keys: Mapping[str, Any], actions: Sequence[Action], problems: list[str]
) -> Iterator[tuple[str, tuple[str, Any]]]:
    path, before = f"features.{name}", len(problems)
    found = keys_of(_KEYS, keys, path, problems)
    if "row" not in found and len(problems) == before:
        problems.append(f"{path}.row: missing, expected the keys of a feature")
    if "{action}" not in name:
        problems.append(f"{path}: got {shown(name)}, expected {{action}} in the name of each")
    names = [row.name for row in actions]
    problems += [
        f"{path}.but: got {shown(one)}, expected some of the actions {', '.join(names)}"
        for one in found.get("but", ())
        if one not in names
    ]
    if len(problems) > before:
        return
    for action in actions:
        if action.features and action.name not in found.get("but", ()):
            variables = {"action": action.name, "words": action.words, "prior": action.prior}
            variables |= found.get("rare" if action.is_rare else "other", {})
            yield (
                str(_filled(name, variables, path, problems)),
                (path, {k: _filled(v, variables, path, problems) for k, v in found["row"].items()}),
            )


def _filled(value: Any, variables: Mapping[str, Any], path: str, problems: list[str]) -> Any:
    """A value with its variables."""
    if not isinstance(value, str):
        return value
    unknown = [name for name in VARIABLE.findall(value) if name not in variables]
    if unknown:
        known = ", ".join(variables)
        problem = f"{path}: got {{{unknown[0]}}}, expected one of the variables {known}"
        problems.extend([problem] if problem not in problems else [])
        return value
    if whole := VARIABLE.fullmatch(value):
        return variables[whole[1]]
    return VARIABLE.sub(lambda found: str(variables[found[1]]), value)
