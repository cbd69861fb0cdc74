"""Row messages: the rows of items, categories and campaigns, as their two topics have them.

`item-partials` has what each partition of `events` says of an entity, `item-features` what all of
them say. The key keeps the newest row of each through compaction; a message without a value (a
tombstone) says that the row is to be forgotten.

    K messages, those of them that are rows
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from headrace.broker.record import Record
from headrace.features.aggregation.layout import Layout
from headrace.features.rows.schemas import DescriptionOf, carry_over
from headrace.features.rows.state_row import START_PARTITION, Rows, encode_rows, readable_rows
from headrace.features.surface_trends import UNVIEWED
from headrace.features.table import SHARED_LAYOUTS
from headrace.skipped import Skipped, place, shortened

PARTIALS: Final = "item-partials"  # the topics, without their namespace
MERGED: Final = "item-features"
OF_ALL: Final = -1  # the source of a merged row
SHARED: Final = {layout.entity: layout for layout in (*SHARED_LAYOUTS, *UNVIEWED)}


class RowKey(NamedTuple):
    """The key of a row: the kind and the id of its entity, and the partition that says it."""

    entity: str
    entity_id: str
    source: int = OF_ALL

    def encoded(self) -> bytes:
        """`item/3:mug` for partition 3, and `item:mug` for all."""
        source = "" if self.source == OF_ALL else f"/{self.source}"
        return f"{self.entity}{source}:{self.entity_id}".encode()


def row_key_of(payload: bytes) -> RowKey | None:
    """The key that was written as these bytes, None where they are none."""
    try:
        head, _, entity_id = payload.decode().partition(":")
    except UnicodeDecodeError:
        return None
    entity, slash, number = head.partition("/")
    if not entity_id or entity not in SHARED:
        return None
    if not slash:
        return RowKey(entity, entity_id)
    is_number = number.isascii() and number.isdecimal() and len(number) <= 10
    source = int(number) if is_number else OF_ALL
    return RowKey(entity, entity_id, source) if 0 <= source <= START_PARTITION else None


def partial_messages(
    changed: Mapping[str, tuple[Sequence[str], Rows]],
) -> Iterator[tuple[RowKey, bytes]]:
    """Keys and values of partial rows by kind of entity, as `MergedState.apply` reads them."""
    for entity, (ids, rows) in changed.items():
        sources = rows["partition"].tolist()
        for entity_id, source, payload in zip(ids, sources, encode_rows(rows), strict=True):
            yield RowKey(entity, entity_id, source), payload


def merged_messages(
    layout: Layout, ids: Sequence[str], rows: Rows
) -> Iterator[tuple[RowKey, bytes]]:
    """Keys and values of merged rows, as `MergedRows` reads them."""
    for entity_id, payload in zip(ids, encode_rows(rows), strict=True):
        yield RowKey(layout.entity, entity_id), payload


@dataclass(frozen=True, slots=True)
class RowDecoder:
    """Decodes rows of a topic. Those of feature tables that `description_of` knows are carried
    over to this build's; what is no row is passed over, and counted in `skipped`."""

    topic: str
    description_of: DescriptionOf
    skipped: Skipped

    def rows(
        self, entity: str, named: Sequence[tuple[RowKey, Record]]
    ) -> tuple[list[RowKey], Rows]:
        """[K]: the keys and the rows of these records of one kind of entity."""
        layout = SHARED[entity]
        payloads = carry_over([r.value for _, r in named], layout, self.description_of)
        place_K, rows_K, faults = readable_rows(payloads, layout)
        for number, why in faults.items():
            self.skip(named[number][1], "no row", f"{named[number][1].key!r}: {why}")
        return [named[number][0] for number in place_K.tolist()], rows_K

    def skip(self, record: Record, reason: str, what: str) -> None:
        """Count a record that is passed over."""
        where = place(record.partition, record.offset)
        self.skipped.add(self.topic, reason, f"{where}: {shortened(what)}", max(record.num_lost, 1))
