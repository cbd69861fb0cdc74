"""Templates: rows of features.yaml that stand for one row of each action with features, or of each
number that the application file declares (`each: context`, `each: attribute`).

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
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from headrace.application.declared import NUMBER
from headrace.application.document import shown
from headrace.application.reading import keys_of
from headrace.application.sections import Application

EACH: Final = "each"
VARIABLE: Final = re.compile(r"\{(\w*)\}")
_KEYS: Final[dict[str, Any]] = {
    EACH: Literal["action", "context", "attribute"],
    "but": list[str],
    "rare": dict[str, int | float | str],
    "other": dict[str, int | float | str],
    "row": dict[str, Any],
}

Rows = dict[str, tuple[str, Any]]  # by name: the path in the file, and the keys


def expanded(section: Mapping[Any, Any], application: Application, problems: list[str]) -> Rows:
    """The rows of a section by name, each template in the place of its rows."""
    rows: Rows = {}
    for name, keys in section.items():
        path = f"features.{name}"
        if isinstance(keys, dict) and EACH in keys:
            found = dict(_of_each(str(name), keys, application, problems))
        else:
            found = {str(name): (path, keys)}
        problems += [f"{path}: the name {one} is there twice" for one in found if one in rows]
        rows |= found
    return rows


def _of_each(
    name: str, keys: Mapping[str, Any], application: Application, problems: list[str]
) -> Iterator[tuple[str, tuple[str, Any]]]:
    path, before = f"features.{name}", len(problems)
    found = keys_of(_KEYS, keys, path, problems)
    if "row" not in found and len(problems) == before:
        problems.append(f"{path}.row: missing, expected the keys of a feature")
    each = found.get(EACH, "action")
    if f"{{{each}}}" not in name:
        problems.append(f"{path}: got {shown(name)}, expected {{{each}}} in the name of each")
    variables_of = _actions(found, application) if each == "action" else _fields(each, application)
    problems += [
        f"{path}.but: got {shown(one)}, expected some of {', '.join(variables_of) or 'none'}"
        for one in found.get("but", ())
        if one not in variables_of
    ]
    if len(problems) > before:
        return
    for one, variables in variables_of.items():
        if one not in found.get("but", ()):
            yield (
                str(_filled(name, variables, path, problems)),
                (path, {k: _filled(v, variables, path, problems) for k, v in found["row"].items()}),
            )


def _actions(found: Mapping[str, Any], application: Application) -> dict[str, dict[str, Any]]:
    """By action with features, the values of a template's variables."""
    return {
        row.name: {
            "action": row.name,
            "words": row.words,
            "prior": row.prior,
            **found.get("rare" if row.is_rare else "other", {}),
        }
        for row in application.actions
        if row.features
    }


def _fields(each: str, application: Application) -> dict[str, dict[str, Any]]:
    """By declared number, the same."""
    fields = application.context if each == "context" else application.attributes
    return {
        field.name: {
            each: field.name,
            "number": "log_number" if field.log else "number",
            "over": f"{each}.{field.name}",
            "log": "the logarithm of " if field.log else "",
        }
        for field in fields
        if field.kind == NUMBER
    }


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
