"""Descriptions: a feature's row of the feature table, in words for people.

A row names its aggregator and what that reads; window, source events, type and size follow from
these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Final

import numpy as np

from headrace.action import GRADE, MONEY, TABLE
from headrace.features.aggregation.accumulators import span
from headrace.features.aggregation.aggregators import History, Rate, SlotRates, keeps, kept_by
from headrace.features.aggregation.asked import Asked, AskedItems, Requests
from headrace.features.aggregation.crosses import cross_values
from headrace.features.aggregation.facts import ACTIONS, AMOUNT, CLICK, SHOWN, VALUE
from headrace.features.aggregation.layout import Feature, Layout
from headrace.features.table import CANDIDATE, ITEM_LAYOUT, LAYOUTS, USER_LAYOUT

# The events that carry a measure: an impression may come with its outcome, a click without an
# impression counts as shown.
EVENTS: Final = {
    SHOWN: ("impression", "click"),
    **{name: ("impression", f"action:{name}") for name in ACTIONS},
    CLICK: ("impression", "click"),
    VALUE: ("impression", *(f"action:{row.name}" for row in TABLE if row.value == GRADE)),
    AMOUNT: ("impression", *(f"action:{row.name}" for row in TABLE if row.value == MONEY)),
}


PREAMBLE: Final = """# Features

Every streaming feature, as `headrace features list --markdown` prints them from
[features.yaml](../feature_repo/features.yaml), to which a shop's own file adds
([own_features.md](own_features.md)); `headrace features describe NAME` says more of
one. Numbers of an entity are the columns of its view in Feast, `<entity>_activity`; those of a
candidate are crosses of its user's state and the request, made at each request and in no view. A
rate's arguments are its measure, the rate that is assumed before any impression, and the
impressions that this assumption is worth."""


@dataclass(frozen=True, slots=True)
class Description:
    """One feature, every question answered in a text of its own."""

    name: str
    entity: str
    dtype: str
    window: str
    aggregator: str
    events: str
    ttl: str
    default: str
    text: str

    def cells(self) -> list[str]:
        """The answers in order."""
        return [getattr(self, field.name) for field in fields(self)]


HEADINGS: Final = (
    *("name", "entity", "type", "window", "aggregator", "source events", "ttl", "default"),
    "description",
)


def describe(feature: Feature) -> Description:
    """The description of a feature of the table, or of a cross."""
    return Description(
        feature.name,
        feature.entity,
        _dtype(feature),
        window(feature),
        _call(feature.aggregator),
        ", ".join(source_events(feature)),
        span(feature.ttl_s * 1_000) if feature.ttl_s else "never",
        "as of no event" if feature.default is None else f"{feature.default:g}",
        feature.description,
    )


def to_markdown(descriptions: Sequence[Description]) -> str:
    """The page docs/features.md: a table per entity."""
    parts = [PREAMBLE]
    for entity in dict.fromkeys(one.entity for one in descriptions):
        rows = [one.cells() for one in descriptions if one.entity == entity]
        cells = [[f"`{name}`", *others] for name, _, *others in rows]
        headings = [HEADINGS[0], *HEADINGS[2:]]
        table = [headings, ["---"] * len(headings), *cells]
        parts.append(f"## {entity.capitalize()}")
        parts.append("\n".join(f"| {' | '.join(row)} |" for row in table))
    return "\n\n".join(parts)


def window(feature: Feature) -> str:
    """Which of the entity's past the value is about."""
    return feature.aggregator.over.window


def source_events(feature: Feature) -> list[str]:
    """The types of the events that the value is made from; where it reads no state, the source."""
    if not keeps(feature.aggregator.over):
        return [window(feature)]
    names = [name for measure in measures(feature) for name in EVENTS[measure]]
    return list(dict.fromkeys(names))


def measures(feature: Feature) -> Sequence[str]:
    """The measures that the value is made from."""
    aggregator: Any = feature.aggregator
    if isinstance(aggregator, Rate | SlotRates):
        return (SHOWN, aggregator.measure)
    if isinstance(aggregator, History):
        return (SHOWN, *ACTIONS)
    named = getattr(aggregator, "measure", None) or getattr(aggregator.over, "measure", None)
    return (named,) if named else (SHOWN,)


def sharing(feature: Feature) -> list[str]:
    """The other features that are read from the same accumulator's state."""
    if not keeps(feature.aggregator.over):
        return []
    kept = kept_by(feature.aggregator.over)
    layout = layout_of(feature)
    others = (f for f in (*layout.features, *layout.crosses) if kept_by(f.aggregator.over) == kept)
    return [other.name for other in others if other.name != feature.name]


def details(feature: Feature) -> list[tuple[str, str]]:
    """Everything there is to say of a feature, heading by heading."""
    ranked = [("read by the ranker", "yes" if feature.ranked else "no")]
    example = np.array2string(_example(feature), threshold=8, precision=4)
    return [
        *zip(HEADINGS, describe(feature).cells(), strict=True),
        ("view", "none, made at each request" if is_cross(feature) else layout_of(feature).view),
        *(ranked if feature.shape == () else []),
        *_kept(feature),
        ("before any event", " ".join(example.split())),
    ]


def _kept(feature: Feature) -> list[tuple[str, str]]:
    """The accumulator of a feature, who shares it, and its bytes; nothing where it reads none."""
    over = feature.aggregator.over
    if not keeps(over):
        return [("state", f"none, it is of {window(feature)}")]
    kept = kept_by(over)
    view = "" if kept == over else f", read through {over!r}"
    size, whole = kept.dtype.itemsize, layout_of(feature).dtype.itemsize
    return [
        ("accumulator", f"{kept!r}{view}"),
        ("shared with", ", ".join(sharing(feature)) or "no other feature"),
        ("state", f"{size:,} of the {whole:,} bytes of a state"),
    ]


def layout_of(feature: Feature) -> Layout:
    """The layout whose states the feature is read from."""
    view: Any = feature.aggregator.over
    entity = view.whose if is_cross(feature) else feature.entity
    return next(layout for layout in LAYOUTS if layout.entity == entity)


def is_cross(feature: Feature) -> bool:
    """Whether it is read together with a request."""
    return feature.entity == CANDIDATE


def _example(feature: Feature) -> Any:
    """The value of an entity that no event was about."""
    never = np.zeros(1, np.int64)
    if is_cross(feature):
        states = {one.entity: (one, one.new(1)) for one in (USER_LAYOUT, ITEM_LAYOUT)}
        asked = Asked(Requests.of([0], [""], [{}]), AskedItems.unknown(never), states)
        return next(cross_values([feature], asked))[0]
    layout = layout_of(feature)
    return layout.value(feature.name, layout.new(1), never)[0]


def _dtype(feature: Feature) -> str:
    if feature.shape == ():
        return "float32"
    return f"{np.asarray(_example(feature)).dtype}[{', '.join(map(str, feature.shape))}]"


def _call(aggregator: Any) -> str:
    """The aggregator and its arguments, as the table spells them."""
    given = (getattr(aggregator, field.name) for field in fields(aggregator))
    return f"{type(aggregator).__name__}({', '.join(map(_argument, given))})"


def _argument(value: Any) -> str:
    if is_dataclass(value):
        return type(value).__name__
    return f"{value:g}" if isinstance(value, float) else str(value)
