"""The views of the online store as data: names, join keys, columns and ttls.

Static views (`user_profile`, `item_content`) are materialized from the catalogue. Streaming views
(`<entity>_activity`) are written by the stream workers; beside the values as of the last event
their rows hold `state`, from which the values of any later time are computed. Vector views
(`item_text_encoded`, ...) are materialized by `headrace encode`: an item's vector of one modality,
empty where there is none, and the encoder's version that made it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from headrace.features.aggregation.layout import Layout
from headrace.features.store.keys import PackedView
from headrace.features.store.schema import Column, Schema
from headrace.features.table import ITEM, LAYOUTS, USER

NEVER_S: Final = 0
SECOND_US: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class ViewColumn:
    """A feature of a view; `type` is the name of Feast's value type."""

    name: str
    type: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """The rows of one kind of entity under one name; with `ttl_s` 0 they never expire."""

    name: str
    entity: str
    columns: tuple[ViewColumn, ...]
    ttl_s: int = NEVER_S

    @property
    def join_key(self) -> str:
        """The name of the entity's id."""
        return f"{self.entity}_id"

    def packed(self, project: str) -> PackedView:
        """The keys and the schema of the view's rows in a project."""
        schema = Schema(tuple(Column(column.name, column.type) for column in self.columns))
        return PackedView(project, self.name, (self.join_key,), schema, self.ttl_s * SECOND_US)


def activity_view(layout: Layout) -> View:
    """The view of an entity's streaming features."""
    numbers = [ViewColumn(row.name, "FLOAT", row.description) for row in layout.numbers]
    state = ViewColumn("state", "BYTES", "what all values are made from")
    ttls_s = [row.ttl_s for row in layout.features]  # a row lives as long as any value of it
    ttl_s = max(ttls_s) if all(ttls_s) else NEVER_S
    return View(layout.view, layout.entity, (*numbers, state), ttl_s)


def vector_view_name(modality: str) -> str:
    """The view of the items' content vectors of a modality, and its source's file."""
    return f"item_{modality}_encoded"


def vector_view(modality: str) -> View:
    """The view of the items' content vectors of a modality."""
    vector = ViewColumn("vector", "FLOAT_LIST")
    encoder = ViewColumn("encoder", "STRING", "<encoder>/<version>")
    return View(vector_view_name(modality), ITEM, (vector, encoder))


USER_PROFILE: Final = View("user_profile", USER, (ViewColumn("attributes", "STRING_LIST"),))
ITEM_CONTENT: Final = View(
    "item_content",
    ITEM,
    (
        ViewColumn("title", "STRING"),
        ViewColumn("categories", "STRING_LIST"),
        ViewColumn("attributes", "STRING_LIST"),
        ViewColumn("price_micros", "INT64"),
        ViewColumn("currency", "STRING"),
        ViewColumn("stock", "INT64"),
    ),
)
STATIC_VIEWS: Final = (USER_PROFILE, ITEM_CONTENT)
ACTIVITY_VIEWS: Final = tuple(activity_view(layout) for layout in LAYOUTS)
READ_VIEWS: Final = (*STATIC_VIEWS, *ACTIVITY_VIEWS)  # those that `OnlineStore` reads and writes
