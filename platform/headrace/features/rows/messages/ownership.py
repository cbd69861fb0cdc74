"""Ownership: which partition's owner merges an entity, and which entities are a worker's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from headrace.features.rows.messages.row_messages import RowKey
from headrace.features.rows.state_row import START_PARTITION
from headrace.keys import key


def owner_of(entity_id: str, num_partitions: int) -> int:
    """The partition, of the topics of rows, that an entity's rows lie in; whoever owns the
    partition of that number in `events` merges them."""
    return key(entity_id) % num_partitions


def by_owner(ids: Iterable[str], num_partitions: int) -> dict[int, list[str]]:
    """Entities by the partition whose owner merges them."""
    owned: dict[int, list[str]] = {}
    for id_ in ids:
        owned.setdefault(owner_of(id_, num_partitions), []).append(id_)
    return owned


@dataclass(frozen=True, slots=True)
class Ownership:
    """The partitions of a worker: those whose events it counts, and whose entities it merges."""

    partitions: frozenset[int]
    num_partitions: int

    @property
    def others(self) -> list[int]:
        """The partitions of other workers."""
        return [number for number in range(self.num_partitions) if number not in self.partitions]

    def merges(self, entity_id: str) -> bool:
        """Whether the worker merges this entity."""
        return owner_of(entity_id, self.num_partitions) in self.partitions

    def needs(self, row: RowKey) -> bool:
        """Whether the worker needs this partial row: it counted it, or is the one to merge it."""
        if row.source in self.partitions:
            return True
        is_source = row.source < self.num_partitions or row.source == START_PARTITION
        return is_source and self.merges(row.entity_id)
