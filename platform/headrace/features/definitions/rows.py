"""The section `features` of features.yaml: rows of the feature table, by name."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from headrace.application.document import shown
from headrace.application.reading import Duration, keys_of
from headrace.features.aggregation.aggregators import Part, Rate
from headrace.features.aggregation.facts import SHOWN
from headrace.features.aggregation.layout import Feature
from headrace.features.definitions.kept import (
    Kept,
    arguments_of,
    kind_of,
    named,
    wrong_measures,
)
from headrace.features.definitions.kinds import AGGREGATORS, OF_CROSSES, Amount, shape_of
from headrace.features.definitions.templates import Rows

USER: Final = "user"
ITEM: Final = "item"
CATEGORY: Final = "category"  # of items; authors count as categories
CAMPAIGN: Final = "campaign"
CANDIDATE: Final = "candidate"  # of a request: an item for a user, on a surface
ENTITIES: Final = (USER, ITEM, CATEGORY, CAMPAIGN, CANDIDATE)
RANKED: Final = (USER, ITEM, CANDIDATE)  # the ranker reads their numbers

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_KEYS: Final[dict[str, Any]] = {
    "description": str,
    "ranked": bool,
    "ttl": Duration,
    "default": Amount,
}
_ELSEWHERE: Final = ("entity", "aggregator", "over", *_KEYS)


def read_rows(rows: Rows, kept: Mapping[str, Kept | None], problems: list[str]) -> list[Feature]:
    """The features that these rows define, in their order; adds all problems."""
    made = (_read(name, path, keys, kept, problems) for name, (path, keys) in rows.items())
    return [feature for feature in made if feature is not None]


def _read(
    name: str, path: str, keys: Any, kept: Mapping[str, Kept | None], problems: list[str]
) -> Feature | None:
    before = len(problems)
    kind = kind_of(keys, "aggregator", AGGREGATORS, path, problems)
    if not isinstance(keys, dict):
        return None
    entity = _entity(name, path, keys, problems)
    told = keys_of(_KEYS, {k: v for k, v in keys.items() if k in _KEYS}, path, problems)
    if not str(told.get("description", "")).strip():
        problems.append(f"{path}.description: missing, expected what the feature is, in words")
    aggregator = _aggregator(kind, path, keys, kept, problems) if kind else None
    if len(problems) > before or aggregator is None:
        return None
    shape = shape_of(aggregator)
    _check_value(path, entity, told, shape, problems)
    feature = Feature(
        name, entity, aggregator, told["description"], shape,
        ranked=told.get("ranked", entity in RANKED),
        ttl_s=math.ceil(told.get("ttl", 0)) if told.get("ttl", 0) < math.inf else 0,
        default=told.get("default"),
    )  # fmt: skip
    if feature.ranked and _may_be_missing(feature):
        problems.append(f"{path}.default: missing, the ranker reads it, and it may have no value")
    return feature


def _may_be_missing(feature: Feature) -> bool:
    """Whether the value of an entity that no event was about is none."""
    aggregator = feature.aggregator
    is_none = isinstance(aggregator, Part) or (
        isinstance(aggregator, Rate) and not aggregator.strength
    )
    return is_none and feature.default is None


def _entity(name: str, path: str, keys: Mapping[str, Any], problems: list[str]) -> str:
    """The entity of a row, whose name begins with it, but for a candidate."""
    entity = keys.get("entity")
    if entity not in ENTITIES:
        problems.append(f"{path}.entity: got {shown(entity)}, expected one of {_list(ENTITIES)}")
        return ""
    if not NAME.fullmatch(name) or name == f"{entity}_id":
        problems.append(f"{path}: got the name {shown(name)}, expected small letters, digits and _")
    elif entity != CANDIDATE and not name.startswith(f"{entity}_"):
        problems.append(f"{path}: got the name {name}, expected {entity}_ before it")
    return str(entity)


def _aggregator(
    kind: str,
    path: str,
    keys: Mapping[str, Any],
    kept: Mapping[str, Kept | None],
    problems: list[str],
) -> Any:
    """The aggregator over the accumulator of a row; None where something is wrong."""
    word = AGGREGATORS[kind]
    over = named(keys.get("over"), word, kept, f"{path}.over", problems)
    found = arguments_of(word, keys, path, problems, _ELSEWHERE)
    if over is None or found is None:
        return None
    if (over.kind in OF_CROSSES) != (keys.get("entity") == CANDIDATE):
        whose = "a candidate" if over.kind in OF_CROSSES else "an entity, not of a candidate"
        problems.append(f"{path}.over: got {keys['over']}, which is read of {whose}")
        return None
    measures = [found["measure"]] if "measure" in found else []
    if kind == "rate":
        measures.append(SHOWN)
        if not float(found.get("strength", 1)) >= 0:
            problems.append(f"{path}.strength: got {found['strength']}, expected 0 or more")
    if wrong_measures(measures, over.measures, f"{path}.measure", problems):
        return None
    return word.make(over=over.view, **found)


def _check_value(
    path: str, entity: str, told: Mapping[str, Any], shape: tuple[int, ...], problems: list[str]
) -> None:
    """Defaults and ttls are of numbers; the ranker reads those of some entities alone."""
    if told.get("ranked") and entity not in RANKED:
        problems.append(
            f"{path}.ranked: got true, expected false: the ranker reads {_list(RANKED)}"
        )
    for key in ("ttl", "default"):
        if key in told and (shape or entity == CANDIDATE):
            problems.append(f"{path}.{key}: it is for numbers of an entity")
    if math.isinf(told.get("ttl", 0)):
        problems.append(f"{path}.ttl: got forever, expected a duration, or none")
    if told.get("ranked") is False and entity == CANDIDATE:
        problems.append(f"{path}.ranked: got false, but the ranker reads all of a candidate")


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(names)
