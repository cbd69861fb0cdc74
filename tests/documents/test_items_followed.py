"""The items' topic as it is followed: in order, over compaction, over junk, from before again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from headrace.broker.log_sender import Message
from headrace.broker.record import Record
from headrace.catalogue.item import Item
from headrace.catalogue.table.table import ItemTable
from headrace.documents.document import ITEM, accept_part, accept_whole
from headrace.documents.follower import ItemFollower
from headrace.documents.messages import part_message, removal, whole_message
from headrace.skipped import Skipped

IDS = ("mug", "cup")
Values = st.fixed_dictionaries(
    {},
    optional={
        "title": st.sampled_from(["A", "B", None]),
        "stock": st.sampled_from([0, 1, 2, None]),
        "price_micros": st.sampled_from([5, None]),
        "attributes": st.none()
        | st.dictionaries(st.sampled_from("xyz"), st.sampled_from([1, 2, None]), max_size=3),
    },
)


def whole(item_id: str, **fields: Any) -> Message:
    return whole_message(ITEM, accept_whole(ITEM, {"item_id": item_id, **fields}))


def part(item_id: str, **fields: Any) -> Message:
    return part_message(ITEM, accept_part(ITEM, {"item_id": item_id, **fields}))


def without_nulls(fields: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in fields.items() if value is not None}
    if "attributes" in kept:
        kept["attributes"] = without_nulls(kept["attributes"])
    return kept


@st.composite
def told(draw: st.DrawFn) -> list[Message]:
    """Messages about two items: whole, in part, removals."""
    messages = []
    for _ in range(draw(st.integers(0, 14))):
        item_id, kind = draw(st.sampled_from(IDS)), draw(st.sampled_from("wwppr"))
        fields = draw(Values)
        if kind == "r" or (kind == "p" and not fields):
            messages.append(removal(item_id))
        elif kind == "p" and fields != {"attributes": {}}:
            messages.append(part(item_id, **fields))
        else:
            messages.append(whole(item_id, **without_nulls(fields)))
    return messages


def records(messages: Sequence[Message]) -> list[Record]:
    return [
        Record(0, offset, 0, message.key, message.value or b"")
        for offset, message in enumerate(messages)
    ]


def compacted(of: Sequence[Record], removals_too: bool) -> list[Record]:
    """The newest record of each key, in the order of the log."""
    newest = {record.key: record for record in of}
    kept = sorted(newest.values(), key=lambda record: record.offset)
    return [record for record in kept if record.value or not removals_too]


def followed(steps: Sequence[Sequence[Record]]) -> dict[str, Item]:
    table = ItemTable()
    follower = ItemFollower(table.get, Skipped())
    for step in steps:
        changes = follower.take(step)
        table.remove(changes.removed, 0)
        table.put(changes.put, 0)
    return {item.item_id: item for item in table}


@given(told(), st.integers(0, 14))
def test_what_compaction_leaves_says_the_same(messages: list[Message], cut: int) -> None:
    every = records(messages)
    expected = followed([every])
    assert followed([compacted(every, False)]) == expected
    assert followed([compacted(every, True)]) == expected  # tombstones go in the end
    before, after = compacted(every[:cut], False), every[cut:]
    assert followed([before, after]) == expected


@given(told(), st.integers(0, 14), st.integers(0, 14))
def test_read_in_steps_or_again_from_before_it_comes_to_the_same(
    messages: list[Message], cut: int, again: int
) -> None:
    every = records(messages)
    expected = followed([every])
    assert followed([every[:cut], every[cut:]]) == expected
    assert followed([every, every[min(again, len(every)) :]]) == followed([every])
    assert followed([[one] for one in every]) == expected


def test_junk_is_counted_and_changes_nothing() -> None:
    skipped, table = Skipped(), ItemTable()
    follower = ItemFollower(table.get, skipped)
    junk = [
        Record(0, 0, 0, b"", b"{}"),
        Record(0, 1, 0, b"\xff", b"{}"),
        Record(0, 2, 0, b"mug", b"no JSON"),
        Record(0, 3, 0, b"mug", b'{"item_id": "cup"}'),
        Record(0, 4, 0, b"mug", b'{"item_id": "mug", "stock": 1e30}'),
        Record(0, 5, 0, b"mug\0[]", b""),
        Record(0, 6, 0, b"mug\0[]", b'{"item_id": "mug", "stock": 1}'),  # of no item
        Record(0, 7, 0, b"", b"", num_lost=5),
        Record(0, 8, 0, b"mug", b"[" * 100_000),
        Record(0, 9, 0, b"cup", b'{"item_id": "cup"}'),
    ]
    changes = follower.take(junk)
    assert ([item.item_id for item in changes.put], changes.removed) == (["cup"], [])
    assert skipped.total() == 13
    assert {reason for _, reason in skipped.counts()} == {
        "no document",
        "a part of an item that is not there",
    }


def test_only_what_is_other_than_it_was_is_told() -> None:
    table = ItemTable()
    table.put([Item("mug", "A mug")], 0)
    follower = ItemFollower(table.get, Skipped())
    same, removed = whole("mug", title="A mug"), removal("cup")
    assert not follower.take(records([same, removed]))
    changes = follower.take(records([whole("mug", title="B"), removal("mug")]))
    assert (changes.put, changes.removed) == ([], ["mug"])


def test_a_message_is_the_json_that_was_told_and_its_key_says_what_it_is() -> None:
    sold_out = part("mug", stock=0, attributes={"new": None})
    assert msgspec.json.decode(sold_out.value or b"") == {
        "item_id": "mug",
        "stock": 0,
        "attributes": {"new": None},
    }
    assert sold_out.key == b'mug\0["attributes.new","stock"]'
    assert (whole("mug").key, whole("mug").value) == (b"mug", b'{"item_id":"mug"}')
    assert removal("mug") == Message(b"mug", None)
