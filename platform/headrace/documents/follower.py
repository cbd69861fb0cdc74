"""Following items: records of the topic in, arrivals, changes and removals out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from headrace.broker.record import Record
from headrace.catalogue.item import Item
from headrace.documents.document import ITEM, ItemDocument, ItemPatch, merged
from headrace.documents.items import document_of, item_of
from headrace.documents.messages import MessageReader
from headrace.errors import InvalidDocument
from headrace.skipped import Skipped


@dataclass(frozen=True, slots=True)
class ItemChanges:
    """Items that came or changed, and the ids of those that went; no id is in both."""

    put: list[Item]
    removed: list[str]

    def __bool__(self) -> bool:
        return bool(self.put or self.removed)


class ItemFollower:
    """Takes in the topic `items`, for whoever has a table of them; `present` finds an item in it.

    A part of an item that is not there changes nothing, and is counted.
    """

    def __init__(self, present: Callable[[str], Item | None], skipped: Skipped) -> None:
        self._present, self._messages = present, MessageReader(ITEM, skipped)

    def take(self, records: Iterable[Record]) -> ItemChanges:
        """The changes of the table by these records, of each item only the last."""
        told: dict[str, Item | None] = {}
        for record in records:
            read = self._messages.read(record)
            if read is None:
                continue
            item_id, document = read
            if isinstance(document, ItemPatch):
                before = told[item_id] if item_id in told else self._present(item_id)
                if before is None:
                    self._messages.skip(record, "a part of an item that is not there", item_id)
                    continue
                try:
                    told[item_id] = item_of(merged(document_of(before), document))
                except InvalidDocument as error:
                    self._messages.skip(record, "a part that does not fit", str(error))
            else:
                told[item_id] = item_of(document) if isinstance(document, ItemDocument) else None
        return self._net(told)

    def _net(self, told: dict[str, Item | None]) -> ItemChanges:
        """Items that are other than they were."""
        changes = ItemChanges([], [])
        for item_id, item in told.items():
            before = self._present(item_id)
            if item is None:
                if before is not None:
                    changes.removed.append(item_id)
            elif item != before:
                changes.put.append(item)
        return changes
