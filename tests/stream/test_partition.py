"""A partition: what each event does to samples, rows and counters, without a crash."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pytest

from headrace.broker import Record
from headrace.datasets.dataset import Item
from headrace.event import ActionEvent, ClickEvent, Event, ImpressionEvent, Shown, encode
from headrace.features.accumulators import State
from headrace.features.assemble import DENSE_NAMES, NUM_DENSE
from headrace.features.layout import Layout
from headrace.features.shared import SharedState
from headrace.features.state import Rows, fresh_rows
from headrace.features.table import (
    CAMPAIGN,
    CATEGORY,
    CATEGORY_LAYOUT,
    ITEM,
    ITEM_LAYOUT,
    LAST,
    LIFE,
    SCHEMA,
    USER_LAYOUT,
)
from headrace.keys import key
from headrace.sample import LANE_JOINED, LANE_KNOWN, Sample
from headrace.stream.commit import Commit
from headrace.stream.intake import decode_records
from headrace.stream.partition import Effects, Partition, PartitionSettings
from headrace.stream.user_table import UserTable

START_MS = 1_714_554_000_000
WINDOW_MS = 1_000
NUMBER = 3
USER_COUNT = DENSE_NAMES.index("user_impressions_log")
ITEM_COUNT = DENSE_NAMES.index("item_impressions_log")
event_ids = (f"e{n}" for n in itertools.count())


def known(request: str, clicked: Sequence[bool], user: str = "ann", at_ms: int = 0) -> Event:
    """A request with one item per label, i0, i1, ..."""
    items = tuple(Shown(f"i{n}", n, label) for n, label in enumerate(clicked))
    return ImpressionEvent(next(event_ids), START_MS + at_ms, user, request, items)


def opened(request: str, *items: str, user: str = "ann", at_ms: int = 0) -> ImpressionEvent:
    shown = tuple(Shown(item_id, n) for n, item_id in enumerate(items))
    return ImpressionEvent(next(event_ids), START_MS + at_ms, user, request, shown)


def click(item: str, request: str | None = None, user: str = "ann", at_ms: int = 0) -> ClickEvent:
    return ClickEvent(next(event_ids), START_MS + at_ms, user, item, request)


@dataclass
class Stream:
    """A log of one partition, its owner, and everything the owner gave back."""

    dedupe_window: int = 100
    shared: SharedState = field(
        default_factory=lambda: SharedState(lambda id_: Item(id_, categories=(f"of-{id_}",)))
    )
    offset: int = 0
    samples: list[Sample] = field(default_factory=list)

    def __post_init__(self) -> None:
        rules = PartitionSettings(self.dedupe_window, WINDOW_MS, lateness_ms=1_000)
        self.partition = Partition(NUMBER, Commit(), self.shared, rules)

    def send(self, *events: Event | bytes, at_ms: int = 0, now_ms: int | None = None) -> Effects:
        """Append events that arrive at this time, and process them."""
        records = []
        for event in events:
            value = event if isinstance(event, bytes) else encode(event)
            records.append(Record(NUMBER, self.offset, START_MS + at_ms, b"", value))
            self.offset += 1
        now_ms = START_MS + (at_ms if now_ms is None else now_ms)
        decoded = decode_records(records, now_ms)
        missing = self.partition.missing_users(decoded)
        attributes = [(key(f"user:{user_id}"),) for user_id in missing]
        self.partition.add_users(missing, [None] * len(missing), attributes)
        effects = self.partition.process(decoded, now_ms)
        self.samples += effects.samples
        return effects

    def labels(self) -> list[tuple[str, int, tuple[int, ...]]]:
        return [(s.request_id, s.lane, s.clicked) for s in self.samples]

    def shown_clicked(self, item: str) -> list[float]:
        state = self.shared.items.states(self.shared.items.find([item]))
        return counts(ITEM_LAYOUT, state)

    def close(self) -> Effects:
        """The log was read to its end and every window is over."""
        return self.send(now_ms=100 * WINDOW_MS)


@pytest.fixture
def stream() -> Stream:
    return Stream()


def counts(layout: Layout, state_1: State) -> list[float]:
    """Shown and clicked."""
    found: list[float] = state_1[layout.field_of[LIFE]][0, :2].tolist()
    return found


def row_of(changed: tuple[list[str], Rows], entity_id: str) -> Rows:
    ids, rows = changed
    place = ids.index(entity_id)
    return rows[place : place + 1]


def user_counts(effects: Effects, user: str = "ann") -> list[float]:
    return counts(USER_LAYOUT, row_of(effects.changed.users, user)["state"])


def history_of(effects: Effects, user: str = "ann") -> list[tuple[int, int, int]]:
    """Item, time and actions of the user's outcomes, newest first."""
    state = row_of(effects.changed.users, user)["state"][USER_LAYOUT.field_of[LAST]][0]
    return [
        (item, time_ms, action)
        for item, time_ms, action in zip(
            state["item"].tolist(), state["time_ms"].tolist(), state["action"].tolist(), strict=True
        )
        if item
    ]


def test_a_known_outcome_is_a_sample_and_then_counts(stream: Stream) -> None:
    effects = stream.send(known("r1", [True, False]))
    (sample,) = effects.samples
    assert (sample.source_partition, sample.source_offset, sample.lane) == (NUMBER, 0, LANE_KNOWN)
    assert (sample.request_id, sample.clicked, sample.schema) == ("r1", (1, 0), SCHEMA)
    assert (sample.event_time_ms, sample.arrival_ms) == (START_MS, START_MS)
    assert sample.item_keys == (key("i0"), key("i1")) and sample.user_key == key("ann")
    assert sample.user_token_keys == (key("user:ann"),)
    assert sample.dense_NF.shape == (2, NUM_DENSE)
    assert user_counts(effects) == [2, 1]
    assert row_of(effects.changed.users, "ann")["position"] == 0
    assert row_of(effects.changed.shared[ITEM], "i0")["position"] == 0
    assert stream.shown_clicked("i0") == [1, 1] and stream.shown_clicked("i1") == [1, 0]


def test_a_sample_holds_what_was_known_before_its_own_labels(stream: Stream) -> None:
    effects = stream.send(*(known(f"r{n}", [True]) for n in range(4)))
    for number, sample in enumerate(effects.samples):
        assert sample.dense_NF[0, USER_COUNT] == np.float32(np.log1p(number))
        assert sample.dense_NF[0, ITEM_COUNT] == np.float32(np.log1p(number))
        assert np.count_nonzero(sample.history_3T[0]) == number
    assert user_counts(effects) == [4, 4]


def test_items_are_counted_across_partitions_and_users_apart(stream: Stream) -> None:
    other = fresh_rows(ITEM_LAYOUT, 1, NUMBER + 1)
    other["state"][ITEM_LAYOUT.field_of[LIFE]][0, 0] = 6
    stream.shared.items.replace(stream.shared.items.numbers(["i0"]), NUMBER + 1, other)
    effects = stream.send(known("r1", [False], user="ann"), known("r2", [True], user="bob"))
    counts = [sample.dense_NF[0, ITEM_COUNT] for sample in effects.samples]
    assert counts == [np.float32(np.log1p(6)), np.float32(np.log1p(7))]
    assert (user_counts(effects, "ann"), user_counts(effects, "bob")) == ([1, 0], [1, 1])


def test_a_click_without_an_impression_is_an_impression_that_was_clicked(stream: Stream) -> None:
    effects = stream.send(click("i0"), click("i1", request="unheard of"))
    (nameless, named) = effects.samples
    assert nameless.clicked == named.clicked == (1,)
    assert nameless.request_id and named.request_id == "unheard of"
    assert nameless.lane == named.lane == LANE_KNOWN
    assert user_counts(effects) == [2, 2] and stream.shown_clicked("i0") == [1, 1]


def test_a_click_within_the_window_is_the_label_of_one_joined_sample(stream: Stream) -> None:
    assert not stream.send(opened("r1", "a", "b", "c"), opened("r2", "a")).samples
    assert not stream.send(click("b", "r1", at_ms=400), at_ms=400).samples
    assert not stream.send(now_ms=WINDOW_MS - 1).samples
    effects = stream.send(now_ms=WINDOW_MS)
    assert stream.labels() == [("r1", LANE_JOINED, (0, 1, 0)), ("r2", LANE_JOINED, (0,))]
    assert [sample.source_offset for sample in effects.samples] == [0, 1]
    assert not stream.close().samples
    assert stream.shown_clicked("a") == [2, 0] and stream.shown_clicked("b") == [1, 1]


def test_a_joined_sample_has_the_features_of_when_it_was_shown(stream: Stream) -> None:
    stream.send(known("r0", [True]))
    stream.send(opened("r1", "i0"), click("i0", "r1"), known("r2", [True]))
    (sample,) = stream.close().samples
    assert sample.dense_NF[0, USER_COUNT] == sample.dense_NF[0, ITEM_COUNT]
    assert sample.dense_NF[0, USER_COUNT] == np.float32(np.log1p(1))
    assert np.count_nonzero(sample.history_3T[0]) == 1


def test_an_impression_counts_when_shown_and_its_click_when_it_comes(stream: Stream) -> None:
    shown = stream.send(opened("r1", "a", "b"))
    assert user_counts(shown) == [2, 0] and stream.shown_clicked("a") == [1, 0]
    assert not history_of(shown)
    clicked = stream.send(click("a", "r1", at_ms=5))
    assert user_counts(clicked) == [2, 1] and stream.shown_clicked("a") == [1, 1]
    assert row_of(clicked.changed.users, "ann")["event_time_ms"] == START_MS + 5
    assert history_of(clicked) == [(key("a"), START_MS + 5, 1)]


def test_a_second_click_on_the_same_item_of_a_request_says_nothing_new(stream: Stream) -> None:
    stream.send(opened("r1", "a", "b"), click("a", "r1"), click("a", "r1"), click("b", "r1"))
    assert stream.close().samples[0].clicked == (1, 1)
    assert stream.shown_clicked("a") == [1, 1] and len(stream.samples) == 1
    assert stream.partition.commit.accepted == 4


def test_a_click_after_the_window_stands_alone(stream: Stream) -> None:
    stream.send(opened("r1", "a"))
    stream.send(click("a", "r1", at_ms=WINDOW_MS), at_ms=WINDOW_MS)
    assert stream.labels() == [("r1", LANE_JOINED, (0,)), ("r1", LANE_KNOWN, (1,))]
    assert stream.shown_clicked("a") == [2, 1]


def test_how_late_the_log_is_read_does_not_matter(stream: Stream) -> None:
    late_ms = 50 * WINDOW_MS
    stream.send(opened("r1", "a"), at_ms=0, now_ms=late_ms)
    stream.send(click("a", "r1", at_ms=999), at_ms=999, now_ms=late_ms)
    stream.send(opened("r2", "b"), click("b", "r1"), at_ms=1_000, now_ms=late_ms)
    stream.send(now_ms=late_ms)
    assert stream.labels() == [
        ("r1", LANE_JOINED, (1,)),
        ("r1", LANE_KNOWN, (1,)),
        ("r2", LANE_JOINED, (0,)),
    ]


def test_a_click_on_an_item_that_its_request_did_not_show_stands_alone(stream: Stream) -> None:
    stream.send(opened("r1", "a"), click("z", "r1"))
    stream.close()
    assert stream.labels() == [("r1", LANE_KNOWN, (1,)), ("r1", LANE_JOINED, (0,))]
    assert stream.shown_clicked("z") == [1, 1] and stream.shown_clicked("a") == [1, 0]


def test_an_outcome_known_for_some_items_only_is_kept(stream: Stream) -> None:
    items = (Shown("a", clicked=True), Shown("b"), Shown("c", clicked=False))
    effects = stream.send(ImpressionEvent("mixed", START_MS, "ann", "r1", items))
    assert user_counts(effects) == [3, 1]
    stream.send(click("b", "r1"), click("a", "r1"))
    assert stream.close().samples[0].clicked == (1, 1, 0)
    assert stream.shown_clicked("a") == stream.shown_clicked("b") == [1, 1]


def test_a_second_impression_of_an_open_request_counts_but_is_no_sample(stream: Stream) -> None:
    stream.send(opened("r1", "a"), opened("r1", "a", "b"))
    assert [sample.item_keys for sample in stream.close().samples] == [(key("a"),)]
    assert stream.shown_clicked("a") == [2, 0]


def test_a_duplicate_is_counted_and_does_nothing_else(stream: Stream) -> None:
    first, shown, clicked = known("r1", [True]), opened("r2", "a"), click("a", "r2")
    stream.send(first, shown, clicked)
    again = stream.send(first, shown, clicked, clicked)
    assert not again.samples and not again.changed.users[0] and not again.changed.shared
    stream.close()
    assert [sample.request_id for sample in stream.samples] == ["r1", "r2"]
    assert stream.shown_clicked("a") == [1, 1]
    commit = stream.partition.commit
    assert (commit.accepted, commit.duplicates, commit.rejected, commit.offset) == (3, 4, 0, 7)


def test_a_duplicate_is_recognised_up_to_the_window_since_its_latest_copy() -> None:
    stream, again = Stream(dedupe_window=3), known("again", [True])
    filler = (known(f"r{n}", [False]) for n in itertools.count())
    stream.send(again, next(filler), next(filler), again)  # 3 offsets back
    assert stream.partition.commit.duplicates == 1
    stream.send(next(filler), next(filler), again)  # 3 since the copy
    assert stream.partition.commit.duplicates == 2
    stream.send(next(filler), next(filler), next(filler), again)
    assert stream.partition.commit.duplicates == 2
    assert [s.request_id for s in stream.samples].count("again") == 2


def test_a_bad_event_becomes_a_dead_letter_and_the_others_go_on(stream: Stream) -> None:
    far = encode(click("a", at_ms=10**9))
    effects = stream.send(b"\xff junk", known("r1", [True]), b'{"type":"click","event_id":5', far)
    letters = [(lt.record.offset, lt.field, lt.record.value) for lt in effects.dead_letters]
    assert letters == [
        (0, "$", b"\xff junk"),
        (2, "event_id", b'{"type":"click","event_id":5'),
        (3, "event_time_ms", far),
    ]
    assert all(letter.reason for letter in effects.dead_letters)
    assert len(effects.samples) == 1
    commit = stream.partition.commit
    assert (commit.accepted, commit.rejected, commit.offset) == (1, 3, 4)


def test_the_commit_keeps_the_oldest_open_impression(stream: Stream) -> None:
    def commit() -> tuple[int, int]:
        return stream.partition.commit.offset, stream.partition.commit.low_offset

    stream.send(known("r0", [True]), b"bad")
    assert commit() == (2, 2)
    stream.send(opened("r1", "a"), known("r2", [False]))
    stream.send(opened("r3", "a"), at_ms=500)
    assert commit() == (5, 2)
    stream.send(now_ms=WINDOW_MS)
    assert commit() == (5, 4)
    stream.send(now_ms=WINDOW_MS + 500)
    assert commit() == (5, 5)
    assert stream.partition.warm_up_from == 0


def test_an_event_far_behind_the_newest_is_counted_as_late_and_still_counts(
    stream: Stream,
) -> None:
    stream.send(known("r1", [True], at_ms=10_000), known("r2", [True], at_ms=9_000))
    assert stream.partition.commit.late == 0
    late = stream.send(known("r3", [True], at_ms=8_999))
    commit = stream.partition.commit
    assert (commit.late, commit.accepted, commit.newest_event_ms) == (1, 3, START_MS + 10_000)
    assert user_counts(late) == [3, 3]


def test_actions_beside_the_click_are_labels_and_counts(stream: Stream) -> None:
    stream.send(opened("r1", "a", "b"))
    like = ActionEvent("like", START_MS + 5, "ann", "a", "like", request_id="r1")
    stream.send(like, click("a", "r1"), msgspec.structs.replace(like, event_id="again"))
    (sample,) = stream.close().samples
    assert sample.actions == (0b011, 0) and sample.clicked == (1, 0) and sample.labelled == 0b111
    life = stream.shared.items.states(stream.shared.items.find(["a"]))[ITEM_LAYOUT.field_of[LIFE]]
    assert life[0].tolist() == [1, 1, 1, 0]  # shown, clicked, liked, viewed for long


def test_a_known_outcome_says_which_of_its_labels_are_known(stream: Stream) -> None:
    items = (Shown("a", clicked=True, liked=True), Shown("b", clicked=False, liked=False))
    stream.send(ImpressionEvent("e", START_MS, "ann", "r1", items))
    (sample,) = stream.samples
    assert sample.actions == (0b011, 0) and sample.labelled == 0b011


def test_categories_and_campaigns_are_counted_too(stream: Stream) -> None:
    items = (Shown("a", clicked=True, campaign_id="spring"), Shown("b", clicked=False))
    effects = stream.send(ImpressionEvent("e", START_MS, "ann", "r1", items))
    assert effects.changed.shared[CATEGORY][0] == ["of-a", "of-b"]
    of_a = row_of(effects.changed.shared[CATEGORY], "of-a")["state"]
    assert counts(CATEGORY_LAYOUT, of_a) == [1, 1]
    assert effects.changed.shared[CAMPAIGN][0] == ["spring"]


def test_users_beyond_the_memory_are_asked_for_again() -> None:
    table = UserTable(NUMBER, capacity=4)
    for step in range(3):
        ids = [f"u{step}a", f"u{step}b"]
        table.add(ids, fresh_rows(USER_LAYOUT, 2, NUMBER), [(step,)] * 2)
        table.end_step()
    assert table.missing(f"u{step}{name}" for step in range(3) for name in "ab") == [
        *("u0a", "u0b", "u1b")
    ]
    assert table.attributes_of("u2b") == (2,)


def test_rows_of_another_partition_start_anew_in_the_log() -> None:
    table = UserTable(NUMBER, capacity=4)
    rows = fresh_rows(USER_LAYOUT, 1, NUMBER + 1)
    rows["position"] = 99
    table.add(["ann"], rows, [()])
    row = table.read(table.numbers(["ann"]))
    assert (row["position"], row["partition"]) == (-1, NUMBER)
