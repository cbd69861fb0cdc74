"""Files of features: the built-in features.yaml, and a shop's own beside its application file.

The own file's rows and accumulators are added to the built-in ones, or replace those of the same
name; `without` names built-in rows that are left out, and with `builtin: false` none are there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from headrace.application.document import FEATURES_FILE, read, shown
from headrace.application.reading import keys_of, unknown
from headrace.application.sections import Application
from headrace.errors import ConfigError
from headrace.features.aggregation.aggregators import kept_by
from headrace.features.aggregation.layout import Feature, Layout
from headrace.features.definitions.kept import read_kept
from headrace.features.definitions.rows import CANDIDATE, ENTITIES, read_rows
from headrace.features.definitions.templates import Rows, expanded
from headrace.rooms.folder import room_path

MAX_STATE_BYTES: Final = 32_768  # of one entity
SECTIONS: Final = ("accumulators", "features", "builtin", "without")
# Rows that headrace reads itself, by their kind: sources, the report, slices of quality.
READ_BY_HEADRACE: Final = (
    *("user_history", "user_category_rates", "user_impressions_log", "item_impressions_log"),
    *("item_clicks_lately_log", "item_click_rate_lately"),
)


@dataclass(frozen=True, slots=True)
class Definitions:
    """The features of one entity each, and those of a candidate, in the order of their files."""

    features: tuple[Feature, ...]
    crosses: tuple[Feature, ...]


def own_file(application_path: str) -> Path | None:
    """The features.yaml beside an application file; None where there is none."""
    path = Path(application_path).parent / FEATURES_FILE if application_path else None
    return path if path and path.is_file() else None


def load(own: Path | None, application: Application) -> Definitions:
    """The features of an application, with those of an own file; raises `ConfigError` with
    everything that is wrong."""
    made, problems = read_definitions(own, application)
    if problems:
        path = own or room_path("feature_repo") / FEATURES_FILE
        raise ConfigError(f"{path}: {'; '.join(problems)}")
    return made


def read_definitions(own: Path | None, application: Application) -> tuple[Definitions, list[str]]:
    """The same, and everything that is wrong."""
    problems: list[str] = []
    builtin = _builtin()
    document = _sections(read(own), problems) if own else {}
    base = builtin if document.get("builtin", True) else {}
    section = {**base.get("accumulators", {}), **document.get("accumulators", {})}
    kept = read_kept(section, application, problems)
    rows = expanded(base.get("features", {}), application, problems)
    for name in document.get("without", ()):
        if rows.pop(name, None) is None:
            problems.append(f"without: got {shown(name)}, expected a name of a built-in feature")
    rows |= expanded(document.get("features", {}), application, problems)
    features = read_rows(rows, kept, problems)
    if own and not problems:
        problems += _missing(rows, features, load(None, application).features)
        problems += _too_large(features)
    made = Definitions(
        tuple(one for one in features if one.entity != CANDIDATE),
        tuple(one for one in features if one.entity == CANDIDATE),
    )
    return made, problems


@cache
def _builtin() -> dict[str, Any]:
    return read(room_path("feature_repo") / FEATURES_FILE)


def _sections(document: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    """The sections of an own file, each of its type."""
    problems += [unknown(name, SECTIONS) for name in document if name not in SECTIONS]
    kinds = {"builtin": bool, "without": list[str]}
    told = {name: document[name] for name in kinds if name in document}
    found = keys_of(kinds, told, "", problems)
    for name in ("accumulators", "features"):
        section = document.get(name) or {}
        if not isinstance(section, dict):
            problems.append(f"{name}: got {shown(section)}, expected rows by name")
            continue
        found[name] = section
    return found


def _too_large(features: Sequence[Feature]) -> list[str]:
    """The kinds of entities whose states are larger than fits into messages and the store."""
    crosses = [one for one in features if one.entity == CANDIDATE]
    layouts = [Layout(entity, features, crosses) for entity in ENTITIES if entity != CANDIDATE]
    sizes = {layout.entity: layout.dtype.itemsize for layout in layouts}
    return [
        f"accumulators: got {size:,} bytes for each {entity}, expected at most {MAX_STATE_BYTES:,}"
        for entity, size in sizes.items()
        if size > MAX_STATE_BYTES
    ]


def _missing(rows: Rows, features: Sequence[Feature], builtin: Sequence[Feature]) -> list[str]:
    """The problems of rows that headrace reads itself: missing, or of another kind."""
    made = {one.name: one for one in features}
    its = {one.name: one for one in builtin}
    problems = []
    for name in READ_BY_HEADRACE:
        kinds = _kinds(its[name])
        if name not in rows:
            problems.append(f"features.{name}: missing, headrace itself reads it: {kinds}")
        elif _kinds(made[name]) != kinds:
            got = f"got {_kinds(made[name])}, expected {kinds}"
            problems.append(f"features.{name}: {got}, which headrace itself reads")
    return problems


def _kinds(feature: Feature) -> str:
    """The kinds of a feature, its numbers aside."""
    aggregator: Any = feature.aggregator
    what = f"{type(aggregator).__name__} over {type(kept_by(aggregator.over)).__name__}"
    measure = getattr(aggregator, "measure", "")
    ranked = ", ranked" if feature.ranked else ""
    return f"{what}{f' of {measure}' if measure else ''}, of {feature.entity}{ranked}"
