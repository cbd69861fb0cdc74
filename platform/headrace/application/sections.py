"""The sections of the application file beside the mapping of columns, and all their problems.

Every section may be absent: then its default holds, which is a shop's. The sections of the mapping
are kept as they are written, and checked by `headrace.datasets.table.mapping`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Any, Final, get_type_hints

import msgspec

from headrace.application.action import (
    BUILT_IN,
    CLICK,
    DEFAULT_TABLE,
    MONEY,
    Action,
    problems_of,
)
from headrace.application.condition import Condition
from headrace.application.declared import Field, attributes_of, context_of
from headrace.application.document import shown
from headrace.application.exploration import Exploration, read_exploration
from headrace.application.filters import read_blocked, read_filters, read_locale
from headrace.application.reading import Duration, keys_of, unknown
from headrace.application.reranking import VALUE, Bounds, Reranking, read_reranking, read_weights
from headrace.application.seen import SeenPolicy, read_seen
from headrace.application.sources import DEFAULT as DEFAULT_SOURCES
from headrace.application.sources import read_blend, read_editorial, read_sources

MAPPING: Final = ("events", "items", "users")  # sections about the columns of files
MAX_SURFACE: Final = 128  # characters of a surface's name, as in `headrace.event`

Weight = Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]


class Negatives(msgspec.Struct, frozen=True):
    """Negatives drawn for a positive that no impression is known of, by popularity to a power."""

    per_positive: Annotated[int, msgspec.Meta(ge=0, le=32)] = 8
    popularity: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.75


def predicted(actions: tuple[Action, ...]) -> tuple[str, ...]:
    """The names of the actions that have a head where no others are chosen."""
    return tuple(row.name for row in actions if row.predicted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """A team's own words about its shop."""

    path: str = ""  # of the file; empty: there is none, and all is default
    actions: tuple[Action, ...] = DEFAULT_TABLE
    heads: tuple[str, ...] = predicted(DEFAULT_TABLE)
    ranking: Mapping[str, float] = field(default_factory=lambda: {CLICK: 1.0})  # weights by head
    context: tuple[Field, ...] = ()  # of a request, beside its user and surface
    attributes: tuple[Field, ...] = ()  # of items, that are numbers
    surfaces: tuple[str, ...] = ()  # those with a calibration and a position bias of their own
    seen: SeenPolicy = SeenPolicy()
    seen_on: Mapping[str, SeenPolicy] = field(default_factory=dict)  # surfaces with another
    sources: Mapping[str, float] = field(default_factory=lambda: DEFAULT_SOURCES)  # quotas by name
    blend: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # weights by case
    editorial: tuple[str, ...] = ()  # ids of items, in their order
    exploration: Exploration = Exploration()
    filters: Mapping[str, Condition] = field(default_factory=dict)  # that have to hold, by name
    blocked: Condition | None = None  # what is shown to nobody
    locale: tuple[str, ...] = ()  # attributes by which items are meant for some users only
    rerank: Reranking = Reranking()
    weights: Mapping[str, Bounds] = field(default_factory=dict)  # bounds of what requests tell
    negatives: Negatives = Negatives()
    mapping: Mapping[str, Any] = field(default_factory=dict)  # of columns, as it is written


OWN: Final = tuple(  # the sections that are read here
    one.name for one in fields(Application) if one.name not in ("path", "seen_on", "mapping")
)
SECTIONS: Final = (*OWN, *MAPPING)


def read_sections(document: Mapping[str, Any], path: str = "") -> tuple[Application, list[str]]:
    """The application that a parsed file describes, and everything that is wrong with it."""
    problems = [unknown(name, SECTIONS) for name in document if name not in SECTIONS]
    actions = _actions(document.get("actions"), problems)
    heads = _heads(document.get("heads"), actions, problems)
    sources = read_sources(document.get("sources"), problems)
    seen, seen_on = read_seen(document.get("seen"), actions, problems)
    weighed = (*heads, *([VALUE] if _is_paid(heads, actions) else []))
    attributes = attributes_of(document.get("attributes"), problems)
    numbers = [one.name for one in attributes]
    application = Application(
        path=path,
        actions=actions,
        heads=heads,
        ranking=_ranking(document.get("ranking"), weighed, problems),
        context=context_of(document.get("context"), problems),
        attributes=attributes,
        surfaces=_surfaces(document.get("surfaces"), problems),
        seen=seen,
        seen_on=seen_on,
        sources=sources,
        blend=read_blend(document.get("blend"), sources, problems),
        editorial=read_editorial(document.get("editorial"), problems),
        exploration=read_exploration(document.get("exploration"), problems),
        filters=read_filters(document.get("filters"), numbers, problems),
        blocked=read_blocked(document.get("blocked"), numbers, problems),
        locale=read_locale(document.get("locale"), problems),
        rerank=read_reranking(document.get("rerank"), numbers, problems),
        weights=read_weights(document.get("weights"), weighed, problems),
        negatives=_negatives(document.get("negatives"), problems),
        mapping={name: document[name] for name in MAPPING if document.get(name) is not None},
    )
    return application, problems


# The keys of a row: the fields of an `Action` but its name; durations without their unit.
_ROW_KEYS: Final = {
    name.removesuffix("_s"): Duration if name.endswith("_s") else kind
    for name, kind in get_type_hints(Action).items()
    if name != "name"
}
_FIELD_OF: Final = {one.name.removesuffix("_s"): one.name for one in fields(Action)}


def _actions(section: object, problems: list[str]) -> tuple[Action, ...]:
    """The rows that are declared, the click first."""
    if section is None:
        return DEFAULT_TABLE
    if not isinstance(section, list | dict) or not section:
        problems.append(f"actions: got {shown(section)}, expected names, or rows by name")
        return DEFAULT_TABLE
    before = len(problems)
    rows = [_row(name, keys, problems) for name, keys in _named(section, problems)]
    clicks = [row for row in rows if row.name == CLICK] or [BUILT_IN[CLICK]]
    table = (*clicks, *(row for row in rows if row.name != CLICK))
    if len(problems) == before:
        problems += problems_of(table)
    return table


def _named(section: list[Any] | dict[Any, Any], problems: list[str]) -> Iterator[tuple[str, Any]]:
    """The name and keys of each row."""
    if isinstance(section, dict):
        yield from ((str(name), keys) for name, keys in section.items())
        return
    for place, one in enumerate(section):
        if isinstance(one, dict) and isinstance(one.get("name"), str):
            yield one["name"], {key: value for key, value in one.items() if key != "name"}
        elif isinstance(one, str) and one in BUILT_IN:
            yield one, {}
        else:
            known = ", ".join(BUILT_IN)
            expected = f"expected one of {known}, or a row such as {{name: rating, value: grade}}"
            problems.append(f"actions[{place}]: got {shown(one)}, {expected}")


def _row(name: str, keys: object, problems: list[str]) -> Action:
    """The built-in row of this name, or a new one, with these keys."""
    found = keys_of(_ROW_KEYS, keys, f"actions.{name}", problems)
    given = {_FIELD_OF[key]: value for key, value in found.items()}
    return replace(BUILT_IN.get(name, Action(name)), **given)


def _heads(section: object, actions: tuple[Action, ...], problems: list[str]) -> tuple[str, ...]:
    """The actions that the ranker predicts, the click first."""
    if section is None:
        return predicted(actions)
    names = _names("heads", section, problems)
    known = [row.name for row in actions]
    problems += [
        f"heads: got {shown(name)}, expected some of the actions {', '.join(known)}"
        for name in names
        if name not in known
    ]
    return (CLICK, *(name for name in names if name != CLICK))


def _ranking(section: object, heads: tuple[str, ...], problems: list[str]) -> dict[str, float]:
    """The weight of each head's probability, and of the value."""
    if section is None:
        return {CLICK: 1.0}
    before = len(problems)
    weights = keys_of(dict.fromkeys(heads, Weight), section, "ranking", problems)
    if not weights and len(problems) == before:
        problems.append("ranking: it is empty, expected weights of heads such as {click: 1}")
    return weights


def _is_paid(heads: tuple[str, ...], actions: tuple[Action, ...]) -> bool:
    """Whether a head predicts an action that carries money, so that items have a value."""
    return any(row.value == MONEY and row.name in heads for row in actions)


def _surfaces(section: object, problems: list[str]) -> tuple[str, ...]:
    """The names of surfaces; a comma would end one in HEADRACE_SURFACES."""
    if section is None:
        return ()
    names = _names("surfaces", section, problems)
    problems += [
        f"surfaces: got {shown(name)}, expected 1 to {MAX_SURFACE} printable characters, no comma"
        for name in names
        if not (0 < len(name.strip()) == len(name) <= MAX_SURFACE and name.isprintable())
        or "," in name
    ]
    return names


def _names(path: str, section: object, problems: list[str]) -> tuple[str, ...]:
    """A list of different names."""
    if not isinstance(section, list):
        problems.append(f"{path}: got {shown(section)}, expected a list of names")
        return ()
    problems += [
        f"{path}[{place}]: got {shown(one)}, expected text"
        for place, one in enumerate(section)
        if not isinstance(one, str)
    ]
    names = tuple(one for one in section if isinstance(one, str))
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    problems += [f"{path}: {name} is there {names.count(name)} times" for name in twice]
    return names


def _negatives(section: object, problems: list[str]) -> Negatives:
    kinds = get_type_hints(Negatives, include_extras=True)
    return Negatives(**keys_of(kinds, section, "negatives", problems))
