"""Schemas: 32-bit hashes of the parts of the feature table that must be equal to read data.

    STATE_SCHEMA   the accumulators of each kind of entity: who may read a state row
    INPUT_SCHEMA   the columns that the ranker reads, in order, and the code of outcomes: who may
                   train on a sample, serve a version, or go on from a trainer's checkpoint
    VIEW_SCHEMA    the numbers of each view, in order: who may read a feature row, and compare a
                   worker's report with a reference

What is written for people is in none of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from headrace.features.aggregation.facts import OUTCOME_CODE
from headrace.features.aggregation.layout import Feature, Layout
from headrace.features.inputs import DENSE, HISTORY
from headrace.features.table import LAYOUTS


def kept_of(layout: Layout) -> list[tuple[str, str, int]]:
    """The accumulators of a layout in the order of their states; the form and bytes of each."""
    return [(repr(kept), str(kept.dtype), kept.dtype.itemsize) for kept in layout.field_of]


def definition_of(feature: Feature) -> tuple[object, ...]:
    """The definition of a feature: its name, entity, aggregator, shape, ttl and default."""
    return (
        *(feature.name, feature.entity, repr(feature.aggregator)),
        *(feature.shape, feature.ttl_s, feature.default),
    )


def schema_of(*definitions: object) -> int:
    """A number that differs where these texts, numbers and tuples do."""
    return int.from_bytes(blake2b(repr(definitions).encode(), digest_size=4).digest(), "big")


def _state_schema(layouts: Sequence[Layout]) -> int:
    return schema_of(*sorted((layout.entity, kept_of(layout)) for layout in layouts))


def _view_schema(layouts: Sequence[Layout]) -> int:
    return schema_of(
        *sorted((layout.view, [*map(definition_of, layout.numbers)]) for layout in layouts)
    )


STATE_SCHEMA: Final = _state_schema(LAYOUTS)
INPUT_SCHEMA: Final = schema_of(*map(definition_of, (*DENSE, HISTORY)), OUTCOME_CODE)
VIEW_SCHEMA: Final = _view_schema(LAYOUTS)
