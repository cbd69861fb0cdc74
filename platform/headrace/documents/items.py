"""An item as its document, and back."""

from __future__ import annotations

import re
from typing import Final

from headrace.catalogue.item import Item
from headrace.documents.document import (
    MAX_AGE,
    MAX_CATEGORIES,
    MAX_STOCK,
    MAX_TITLE,
    MAX_WORD,
    ItemDocument,
    attributes_of,
    words_of,
)
from headrace.event import MAX_MICROS

_CURRENCY: Final = re.compile("[A-Z]{3}")


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
    price = item.price_micros
    return ItemDocument(
        item.item_id,
        item.title[:MAX_TITLE],
        categories[:MAX_CATEGORIES],
        attributes_of(item.attributes),
        price if price is not None and 0 <= price <= MAX_MICROS else None,
        item.currency if _CURRENCY.fullmatch(item.currency) else None,
        None if item.stock is None else min(max(item.stock, 0), MAX_STOCK),
        item.available_from_ms,
        item.available_until_ms,
        None if item.min_age is None else min(max(item.min_age, 0), MAX_AGE),
    )
