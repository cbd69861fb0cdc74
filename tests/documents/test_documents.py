"""Documents of items and users: what is taken, what is refused and why, and what a part changes."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.documents.document import (
    ITEM,
    USER,
    ItemDocument,
    ItemPatch,
    Kind,
    UserDocument,
    accept_part,
    accept_whole,
    attributes_of,
    merged,
    words_of,
)
from headrace.errors import InvalidDocument

MUG: dict[str, Any] = {
    "item_id": "mug",
    "title": "A mug",
    "categories": ["kitchen"],
    "attributes": {"colour": "red", "sizes": [1, 2.50], "new": True},
    "price_micros": 9_990_000,
    "currency": "EUR",
    "stock": 3,
    "available_from_ms": 1_714_554_000_000,
    "available_until_ms": 1_814_554_000_000,
    "min_age": 18,
}


def test_a_whole_document_has_every_field_that_was_told() -> None:
    mug = accept_whole(ITEM, MUG)
    assert (mug.item_id, mug.price_micros, mug.currency, mug.stock) == ("mug", 9_990_000, "EUR", 3)
    assert words_of(mug.attributes) == ("colour=red", "sizes=1", "sizes=2.5", "new=true")
    assert accept_whole(USER, {"user_id": "ann"}) == UserDocument("ann")


def test_words_and_attributes_are_the_same_in_two_forms() -> None:
    words = ("colour=red", "sizes=1", "sizes=2", "bare", "formula=a=b")
    assert words_of(attributes_of(words)) == words


@pytest.mark.parametrize(
    ("kind", "given", "field", "told"),
    [
        (ITEM, [MUG], "$", "expected an object, got list"),
        (ITEM, {"title": "x"}, "item_id", "missing required field"),
        (ITEM, {"item_id": ""}, "item_id", "length >= 1, got ''"),
        (ITEM, {"item_id": "a\0b"}, "item_id", "no NUL"),
        (ITEM, {**MUG, "price": 3}, "price", "unknown field"),
        (ITEM, {**MUG, "price_micros": 9.99}, "price_micros", "Expected `int | null`"),
        (ITEM, {**MUG, "stock": -1}, "stock", ">= 0, got '-1'"),
        (ITEM, {**MUG, "currency": "euro"}, "currency", "got 'euro'"),
        (ITEM, {**MUG, "categories": ["a", 1]}, "categories[1]", "Expected `str`, got `int`"),
        (ITEM, {**MUG, "attributes": {"a=b": 1}}, "attributes", "regex"),
        (ITEM, {**MUG, "available_from_ms": 1_714_554_000}, "available_from_ms", "in seconds?"),
        (ITEM, {**MUG, "available_until_ms": 1_714_554_000_000}, "available_until_ms", "after"),
        (ITEM, {**MUG, "title": "x" * 1_001}, "title", "length <= 1000"),
        (USER, {"user_id": "ann", "age": 40}, "age", "unknown field"),
    ],
)
def test_what_is_wrong_is_named_with_what_came_and_what_was_expected(
    kind: Kind[Any], given: object, field: str, told: str
) -> None:
    with pytest.raises(InvalidDocument) as error:
        accept_whole(kind, given)
    assert error.value.field == field and told in str(error.value)


def test_a_part_changes_what_it_names_and_takes_away_what_is_null() -> None:
    patch = accept_part(
        ITEM, {"item_id": "mug", "stock": 0, "min_age": None, "attributes": {"new": None, "x": 1}}
    )
    assert isinstance(patch, ItemPatch)
    after = merged(accept_whole(ITEM, MUG), patch)
    assert (after.stock, after.min_age, after.price_micros) == (0, None, 9_990_000)
    assert words_of(after.attributes) == ("colour=red", "sizes=1", "sizes=2.5", "x=1")
    cleared = accept_part(ITEM, {"item_id": "mug", "attributes": None, "title": None})
    assert (merged(after, cleared).attributes, merged(after, cleared).title) == ({}, "")
    assert merged(merged(after, cleared), cleared) == merged(after, cleared)


def test_a_part_that_names_nothing_or_makes_a_wrong_whole_is_refused() -> None:
    with pytest.raises(InvalidDocument, match="names no field"):
        accept_part(ITEM, {"item_id": "mug"})
    ends = accept_part(ITEM, {"item_id": "mug", "available_until_ms": 1_700_000_000_000})
    with pytest.raises(InvalidDocument, match="after available_from_ms"):
        merged(accept_whole(ITEM, MUG), ends)
    many = {str(number): 1 for number in range(100)}
    full = ItemDocument("mug", attributes=many)
    with pytest.raises(InvalidDocument):
        merged(full, accept_part(ITEM, {"item_id": "mug", "attributes": {"more": 1}}))
