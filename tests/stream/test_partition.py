"""A partition: what each event does to samples, rows and counters, without a crash."""

from __future__ import annotations

import itertools

import msgspec
import numpy as np
import pytest
from one_partition import (
    ITEM_COUNT,
    NUMBER,
    START_MS,
    USER_COUNT,
    WINDOW_MS,
    Stream,
    click,
    counts,
    known,
    opened,
    row_of,
    user_counts,
)

from headrace.action import EVERY_ACTION
from headrace.event import ActionEvent, ImpressionEvent, Shown, encode
from headrace.events.serving_policy import ServingPolicy
from headrace.features.aggregation.accumulators import Extremes
from headrace.features.aggregation.facts import outcome
from headrace.features.inputs import NUM_DENSE
from headrace.features.rows.state_row import blank_rows
from headrace.features.schema import INPUT_SCHEMA
from headrace.features.table import CAMPAIGN, CATEGORY, CATEGORY_LAYOUT, ITEM, ITEM_LAYOUT, LIFE
from headrace.keys import key
from headrace.sample import SEQUENCE_KNOWN


@pytest.fixture
def stream() -> Stream:
    return Stream()


def test_a_known_outcome_is_a_sample_and_then_counts(stream: Stream) -> None:
    effects = stream.send(known("r1", [True, False]))
    (sample,) = effects.samples
    assert (sample.source_partition, sample.source_offset, sample.sequence) == (
        NUMBER,
        0,
        SEQUENCE_KNOWN,
    )
    assert (sample.request_id, sample.clicked, sample.schema) == ("r1", (1, 0), INPUT_SCHEMA)
    assert (sample.event_time_ms, sample.arrival_ms) == (START_MS, START_MS)
    assert sample.item_keys == (key("i0"), key("i1")) and sample.user_key == key("ann")
    assert sample.user_word_keys == (key("user:ann"),)
    assert sample.dense_NF.shape == (2, NUM_DENSE)
    assert user_counts(effects) == [2, 1]
    assert row_of(effects.changed.users, "ann")["position"] == 0
    assert row_of(effects.changed.partials[ITEM], "i0")["position"] == 0
    assert stream.shown_clicked("i0") == [1, 1] and stream.shown_clicked("i1") == [1, 0]


def test_a_sample_holds_what_was_known_before_its_own_labels(stream: Stream) -> None:
    effects = stream.send(*(known(f"r{n}", [True]) for n in range(4)))
    for number, sample in enumerate(effects.samples):
        assert sample.dense_NF[0, USER_COUNT] == np.float32(np.log1p(number))
        assert sample.dense_NF[0, ITEM_COUNT] == np.float32(np.log1p(number))
        assert np.count_nonzero(sample.history_3T[0]) == number
    assert user_counts(effects) == [4, 4]


def test_items_are_counted_across_partitions_and_users_apart(stream: Stream) -> None:
    other = blank_rows(ITEM_LAYOUT, 1, NUMBER + 1)
    other["state"][ITEM_LAYOUT.field_of[LIFE]][0, 0] = 6
    stream.merged.items.replace(stream.merged.items.indexes(["i0"]), NUMBER + 1, other)
    effects = stream.send(known("r1", [False], user="ann"), known("r2", [True], user="bob"))
    counts = [sample.dense_NF[0, ITEM_COUNT] for sample in effects.samples]
    assert counts == [np.float32(np.log1p(6)), np.float32(np.log1p(7))]
    assert (user_counts(effects, "ann"), user_counts(effects, "bob")) == ([1, 0], [1, 1])


def test_a_duplicate_is_counted_and_does_nothing_else(stream: Stream) -> None:
    first, shown, clicked = known("r1", [True]), opened("r2", "a"), click("a", "r2")
    stream.send(first, shown, clicked)
    again = stream.send(first, shown, clicked, clicked)
    assert not again.samples and not again.changed.users[0] and not again.changed.partials
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


def test_nobody_uses_up_the_event_ids_of_others(stream: Stream) -> None:
    mine = known("r1", [True], user="ann")
    theirs = msgspec.structs.replace(known("r2", [True], user="bob"), event_id=mine.event_id)
    stream.send(theirs, mine)
    stream.send(mine)
    assert [sample.request_id for sample in stream.samples] == ["r2", "r1"]
    assert (stream.partition.commit.accepted, stream.partition.commit.duplicates) == (2, 1)


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
    stream.send(known("r1", [True], at_ms=10_000), known("r2", [True], at_ms=9_000), at_ms=10_000)
    assert stream.partition.commit.late == 0
    late = stream.send(known("r3", [True], at_ms=8_999), at_ms=10_000)
    commit = stream.partition.commit
    assert (commit.late, commit.accepted, commit.newest_event_ms) == (1, 3, START_MS + 10_000)
    assert user_counts(late) == [3, 3]


def test_actions_beside_the_click_are_labels_and_counts(stream: Stream) -> None:
    stream.send(opened("r1", "a", "b"))
    like = ActionEvent("like", START_MS + 5, "ann", "a", "like", request_id="r1")
    stream.send(like, click("a", "r1"), msgspec.structs.replace(like, event_id="again"))
    (sample,) = stream.close().samples
    assert sample.outcomes == (0b011, 0) and sample.clicked == (1, 0)
    assert sample.labelled == EVERY_ACTION
    life = stream.merged.items.states(stream.merged.items.find(["a"]))[ITEM_LAYOUT.field_of[LIFE]]
    assert life[0].tolist() == [1, 1, 1, 0]  # shown, clicked, liked, viewed for long


def test_the_value_of_an_outcome_is_kept_with_its_actions(stream: Stream) -> None:
    stream.send(opened("r1", "a", "b"))
    paid = ActionEvent("paid", START_MS + 5, "ann", "a", "like", request_id="r1", value=0.4)
    more = msgspec.structs.replace(paid, event_id="more", action="long_view", value=3.0)
    stream.send(paid, click("a", "r1"), more)
    (sample,) = stream.close().samples
    assert sample.outcomes == (outcome(0b111, 1.0), 0)
    items = (Shown("a", clicked=True, grade=0.2), Shown("b", clicked=False, grade=-1.0))
    stream.send(ImpressionEvent("e", START_MS, "ann", "r2", items))
    assert stream.samples[-1].outcomes == (outcome(0b001, 0.2), 0)


def test_a_value_without_an_action_that_carries_a_grade_is_none(stream: Stream) -> None:
    """A price on every row of a log, for one."""
    items = (Shown("a", clicked=True, value=0.5), Shown("b", clicked=False, value=86.0),
             Shown("c", liked=True, clicked=False, value=0.5))  # fmt: skip
    effects = stream.send(ImpressionEvent("e", START_MS, "ann", "r1", items))
    assert stream.samples[-1].outcomes == (0b001, 0, outcome(0b010, 0.5))
    states = effects.changed.partials[ITEM]
    values = [
        row_of(states, one)["state"][ITEM_LAYOUT.field_of[Extremes()]]["max"] for one in "abc"
    ]
    assert values == [[-np.inf], [-np.inf], [0.5]]


def test_a_known_outcome_says_which_of_its_labels_are_known(stream: Stream) -> None:
    items = (Shown("a", clicked=True, liked=True), Shown("b", clicked=False, liked=False))
    stream.send(ImpressionEvent("e", START_MS, "ann", "r1", items))
    (sample,) = stream.samples
    assert sample.outcomes == (0b011, 0) and sample.labelled == 0b011


def test_categories_and_campaigns_are_counted_too(stream: Stream) -> None:
    items = (Shown("a", clicked=True, campaign_id="spring"), Shown("b", clicked=False))
    effects = stream.send(ImpressionEvent("e", START_MS, "ann", "r1", items))
    assert effects.changed.partials[CATEGORY][0] == ["of-a", "of-b"]
    of_a = row_of(effects.changed.partials[CATEGORY], "of-a")["state"]
    assert counts(CATEGORY_LAYOUT, of_a) == [1, 1]
    assert effects.changed.partials[CAMPAIGN][0] == ["spring"]


def test_a_sample_says_where_its_items_stood_and_on_which_surface(stream: Stream) -> None:
    items = (Shown("a", 3, clicked=True), Shown("b", clicked=False))
    placed = ImpressionEvent("p1", START_MS, "ann", "r1", items, surface="search")
    unplaced = ImpressionEvent("p2", START_MS, "ann", "r2", (Shown("a", clicked=True),))
    stream.send(placed, unplaced, click("c"))
    assert [(s.positions, s.surface) for s in stream.samples] == [
        *(((3, -1), "search"), ((), "home"), ((), "home")),
    ]


def test_a_sample_says_how_probable_its_items_were_and_under_which_policy(stream: Stream) -> None:
    items = (Shown("a", clicked=True, propensity=0.25), Shown("b", clicked=False))
    policy = ServingPolicy("thompson", "1a2b3c4d", num_draws=100)
    drawn = ImpressionEvent("p1", START_MS, "ann", "r1", items, policy=policy)
    before = ImpressionEvent("p2", START_MS, "ann", "r2", (Shown("a", clicked=True),))
    stream.send(drawn, before)
    one, other = stream.samples
    np.testing.assert_array_equal(one.propensity_N, np.array([0.25, np.nan], np.float32))
    assert (one.policy, one.num_draws) == ("thompson@1a2b3c4d", 100)
    assert (other.propensity, other.policy, other.num_draws) == (b"", "", 0)
