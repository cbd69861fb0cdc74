"""Ids that nobody announced have a share of memory, that ends; what is known stays as it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from one_partition import NUMBER, START_MS, Stream, click, known

from headrace.broker.record import Record
from headrace.catalogue.item import Item
from headrace.event import Event, ImpressionEvent, Shown
from headrace.features.rows.bounds import Bounds, Share
from headrace.features.rows.merged import MergedState
from headrace.features.rows.merged_table import Forgotten
from headrace.features.rows.messages.row_messages import RowKey, partial_messages
from headrace.features.table import CAMPAIGN, ITEM

SHARE, TTL_MS = 1_000, 60_000
BOUNDS = Bounds(
    Share(SHARE, TTL_MS), Share(4, 10 * TTL_MS), known_campaigns=frozenset(["announced"])
)
KNOWN = [f"i{number}" for number in range(20)]
ITEMS = {item_id: Item(item_id, categories=(f"of-{item_id}",)) for item_id in KNOWN}


def bounded(bounds: Bounds | None = BOUNDS) -> Stream:
    return Stream(merged=MergedState(ITEMS.get, bounds=bounds))


def flood(number: int, *item_ids: str, campaign_id: str | None = None) -> Event:
    shown = tuple(Shown(i, n, False, campaign_id=campaign_id) for n, i in enumerate(item_ids))
    return ImpressionEvent(f"f{number}", START_MS + number, "stranger", f"f{number}", shown)


def honest(number: int) -> list[Event]:
    """A request on known items, and a click."""
    at_ms, labels = number * 10, [(number + n) % 3 == 0 for n in range(6)]
    return [
        known(f"r{number}", labels, f"u{number % 5}", at_ms),
        click(KNOWN[number % 9], user=f"u{number % 7}", at_ms=at_ms + 1),
    ]


def run(stream: Stream, num_steps: int, floods: Iterator[Event] | None) -> None:
    for number in range(num_steps):
        stream.send(*([next(floods)] if floods else []), *honest(number), at_ms=number * 10)
        stream.merged.end_step(START_MS + number * 10)


def test_fifty_thousand_unknown_ids_take_their_share_and_change_nothing_else() -> None:
    floods = (flood(n, *(f"{n}-{m}" for m in range(1_000))) for n in range(50))
    calm, flooded = bounded(), bounded()
    run(calm, 50, None)
    num_bytes = calm.merged.items.num_bytes
    run(flooded, 50, floods)
    assert len(flooded.merged.items) <= len(KNOWN) + SHARE
    assert flooded.merged.items.num_bytes < num_bytes + 4_000 * SHARE
    counts = flooded.merged.items.counts()
    assert counts["kept"] <= SHARE < counts["forgotten"] and sum(counts.values()) >= 50_000
    for table, same in zip(
        flooded.merged.tables.values(), calm.merged.tables.values(), strict=True
    ):
        ids = same.all_ids()
        states = [one.states(one.find(ids)).tobytes() for one in (table, same)]
        assert states[0] == states[1]
    mine = [one for one in flooded.samples if not one.request_id.startswith("f")]
    for one, same_one in zip(mine, calm.samples, strict=True):
        assert one.dense == same_one.dense and one.history == same_one.history
        assert (one.item_keys, one.outcomes) == (same_one.item_keys, same_one.outcomes)


def test_without_a_flood_unknown_items_count_like_known_ones() -> None:
    free, share = bounded(None), bounded()
    for stream in (free, share):
        for number in range(30):
            stream.send(flood(number, "new", "i1", f"x{number}"), click("new"), at_ms=number)
            stream.merged.end_step(START_MS + number)
    assert share.shown_clicked("new") == [60, 30] == free.shown_clicked("new")
    assert [one.dense for one in free.samples] == [one.dense for one in share.samples]


def test_an_unknown_item_ends_when_nothing_was_heard_of_it_for_long() -> None:
    stream, partials = bounded(), (NUMBER,)
    stream.send(flood(0, "old", "i1"))
    assert stream.merged.end_step(START_MS) == {}
    stream.send(flood(1, "new"), at_ms=TTL_MS - 1)
    assert stream.merged.end_step(START_MS + TTL_MS - 1) == {}
    assert stream.merged.end_step(START_MS + TTL_MS) == {ITEM: [Forgotten("old", partials)]}
    assert stream.merged.items.having(["old", "new", "i1"]) == ["new", "i1"]
    stream.send(flood(2, "old"), at_ms=TTL_MS + 1)  # it begins anew
    assert stream.shown_clicked("old") == [1, 0]
    for later, entity_id in ((3, "new"), (9, "old")):
        gone = stream.merged.end_step(START_MS + later * TTL_MS)
        assert gone == {ITEM: [Forgotten(entity_id, partials)]}
    assert stream.shown_clicked("i1") == [1, 0]


def test_the_share_goes_to_those_heard_of_last() -> None:
    stream = bounded()
    stream.send(flood(0, *(f"a{n}" for n in range(SHARE // 2))))
    stream.merged.end_step(START_MS)
    stream.send(flood(1, *(f"b{n}" for n in range(SHARE // 2))), at_ms=1)
    gone = stream.merged.end_step(START_MS + 1)
    assert {one.entity_id[0] for one in gone[ITEM]} == {"a"} and len(gone[ITEM]) == SHARE // 4


def test_campaigns_in_no_file_have_a_share_of_their_own() -> None:
    stream = bounded()
    for number in range(20):
        campaign = "announced" if number % 2 else f"c{number}"
        stream.send(flood(number, "i1", campaign_id=campaign), at_ms=number)
        stream.merged.end_step(START_MS + number)
    table = stream.merged.tables[CAMPAIGN]
    assert table.having(["announced", "c18"]) == ["announced", "c18"] and len(table) <= 5


def published(stream: Stream, *item_ids: str) -> list[Record]:
    effects = stream.send(flood(stream.offset, *item_ids))
    return [
        Record(NUMBER, 0, START_MS, about.encoded(), value)
        for about, value in partial_messages(effects.changed.partials)
    ]


@pytest.mark.parametrize("owns", [False, True])
def test_a_tombstone_ends_an_unknown_item_where_others_count_it(owns: bool) -> None:
    stream, reader = bounded(), bounded().merged
    records = published(stream, "x", "i1")
    reader.apply(records)
    assert reader.items.having(["x", "i1"]) == ["x", "i1"]
    if owns:  # what its own topic says of the past is no news
        reader.own([NUMBER])
    reader.apply([Record(NUMBER, 1, START_MS, RowKey(ITEM, "x", NUMBER).encoded(), b"")])
    assert reader.items.having(["x", "i1"]) == (["x", "i1"] if owns else ["i1"])


def test_what_comes_back_to_its_owner_by_the_topic_is_not_kept_again() -> None:
    stream = bounded()
    stream.merged.own([NUMBER])
    records = published(stream, "x")
    stream.merged.end_step(START_MS)
    stream.merged.end_step(START_MS + TTL_MS)
    assert stream.merged.apply(records) == {ITEM: ["x"]}
    assert stream.merged.items.having(["x"]) == []


def test_a_row_that_finds_no_place_at_the_start_is_to_be_deleted() -> None:
    stream = bounded(None)
    records = published(stream, *(f"x{n}" for n in range(SHARE)))
    records += published(stream, *(f"y{n}" for n in range(7)), "i1")
    reader = bounded().merged
    reader.apply(records)
    gone = reader.end_step(START_MS)[ITEM]
    assert len(gone) == 7 + SHARE // 4
    assert all(one.partitions == (NUMBER,) for one in gone)
    assert len(reader.items) == SHARE * 3 // 4 + 1
