"""An item as its document, and back."""

from __future__ import annotations

from headrace.catalogue.item import Item
from headrace.documents.document import (
    MAX_CATEGORIES,
    MAX_TITLE,
    MAX_WORD,
    ItemDocument,
    attributes_of,
    words_of,
)


def item_of(document: ItemDocument) -> Item:
    """The item of a document."""
    return Item(
        document.item_id,
        document.title,
        document.categories,
        words_of(document.attributes),
        document.price_micros,
        document.currency or "",
        document.stock,
        document.available_from_ms,
        document.available_until_ms,
        document.min_age,
    )


def document_of(item: Item) -> ItemDocument:
    """The document of an item that a loader made, cut to the limits of a document."""
    categories = tuple(name[:MAX_WORD] for name in item.categories if name)
    return ItemDocument(
        item.item_id,
        item.title[:MAX_TITLE],
        categories[:MAX_CATEGORIES],
        attributes_of(item.attributes),
        item.price_micros,
        item.currency or None,
        item.stock,
        item.available_from_ms,
        item.available_until_ms,
        item.min_age,
    )
