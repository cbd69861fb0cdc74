"""Merged rows: the newest row of each entity, as the topic `item-features` tells it."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass

import numpy as np

from headrace.broker.record import Record
from headrace.features.rows.messages.ownership import owner_of
from headrace.features.rows.messages.row_messages import OF_ALL, RowDecoder, RowKey, row_key_of
from headrace.features.rows.state_row import Rows
from headrace.features.table import SHARED_LAYOUTS

KINDS = tuple(layout.entity for layout in SHARED_LAYOUTS)


@dataclass(frozen=True, slots=True)
class NewRows:
    """The newest rows of entities of a kind, each in place of any before, and the ids of those
    that are forgotten."""

    ids: list[str]
    rows: Rows
    gone: list[str]


class MergedRows:
    """Reads merged rows of some kinds of entities from records of the topic, which has so many
    partitions. Rows of one entity lie in one partition, where the last one counts."""

    def __init__(
        self,
        num_partitions: int,
        decoder: RowDecoder,
        kinds: Container[str] = KINDS,
    ) -> None:
        self._num_partitions, self._decoder, self._kinds = num_partitions, decoder, kinds

    def read(self, records: Iterable[Record]) -> dict[str, NewRows]:
        """The rows in these records, by kind of entity."""
        by_kind: dict[str, dict[str, list[Record]]] = {}
        for record in records:
            about = row_key_of(record.key)
            if about is None:
                self._decoder.skip(record, "no key of a row", repr(record.key))
            elif self._is_wanted(about, record.partition):
                of_kind = by_kind.setdefault(about.entity, {})
                if record.value:
                    of_kind.setdefault(about.entity_id, []).append(record)
                else:
                    of_kind[about.entity_id] = [record]
        return {entity: self._newest(entity, of_kind) for entity, of_kind in by_kind.items()}

    def _is_wanted(self, about: RowKey, partition: int) -> bool:
        """Not so are partial rows, which lay here in earlier versions, and rows of an entity whose
        partition was another one before the topic grew."""
        is_merged = about.source == OF_ALL and about.entity in self._kinds
        return is_merged and owner_of(about.entity_id, self._num_partitions) == partition

    def _newest(self, entity: str, of_kind: dict[str, list[Record]]) -> NewRows:
        """The last of each entity's records that is a row. A tombstone is the first if any."""
        named = [
            (RowKey(entity, entity_id), record)
            for entity_id, records in of_kind.items()
            for record in records
            if record.value
        ]
        keys, rows_K = self._decoder.rows(entity, named)
        last = {about.entity_id: number for number, about in enumerate(keys)}
        without = of_kind.keys() - last.keys()
        gone = [entity_id for entity_id in without if not of_kind[entity_id][0].value]
        return NewRows([*last], rows_K.take(np.array([*last.values()], np.int64)), gone)
