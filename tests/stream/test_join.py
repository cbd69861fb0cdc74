"""The join: which outcomes belong to which impression, and when a sample is complete."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from one_partition import (
    ITEM_COUNT,
    START_MS,
    USER_COUNT,
    WINDOW_MS,
    Stream,
    click,
    history_of,
    known,
    opened,
    row_of,
    user_counts,
)

from headrace.event import ImpressionEvent, Shown
from headrace.features.table import LAST, USER_LAYOUT
from headrace.keys import key, surface_code
from headrace.sample import SEQUENCE_JOINED, SEQUENCE_KNOWN


@pytest.fixture
def stream() -> Stream:
    return Stream()


def test_a_click_without_an_impression_is_an_impression_that_was_clicked(stream: Stream) -> None:
    effects = stream.send(click("i0"), click("i1", request="unheard of"))
    (nameless, named) = effects.samples
    assert nameless.clicked == named.clicked == (1,)
    assert nameless.request_id and named.request_id == "unheard of"
    assert nameless.sequence == named.sequence == SEQUENCE_KNOWN
    assert user_counts(effects) == [2, 2] and stream.shown_clicked("i0") == [1, 1]


def test_a_click_within_the_window_is_the_label_of_one_joined_sample(stream: Stream) -> None:
    assert not stream.send(opened("r1", "a", "b", "c"), opened("r2", "a")).samples
    assert not stream.send(click("b", "r1", at_ms=400), at_ms=400).samples
    assert not stream.send(now_ms=WINDOW_MS - 1).samples
    effects = stream.send(now_ms=WINDOW_MS)
    assert stream.labels() == [("r1", SEQUENCE_JOINED, (0, 1, 0)), ("r2", SEQUENCE_JOINED, (0,))]
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
    clicked = stream.send(click("a", "r1", at_ms=5), at_ms=5)
    assert user_counts(clicked) == [2, 1] and stream.shown_clicked("a") == [1, 1]
    assert row_of(clicked.changed.users, "ann")["event_time_ms"] == START_MS + 5
    assert history_of(clicked) == [(key("a"), START_MS + 5, 1)]


def test_an_outcome_belongs_to_the_surface_that_showed_the_item(stream: Stream) -> None:
    feed = msgspec.structs.replace(opened("r1", "a"), surface="feed")
    stream.send(feed, click("a", "r1"), known("r2", [False]), click("b"))
    state = row_of(stream.send(click("c")).changed.users, "ann")["state"]
    surfaces_T = state[USER_LAYOUT.field_of[LAST]]["surface"].ravel().tolist()
    assert sorted(surfaces_T[:4]) == sorted(map(surface_code, ["feed", "home", "home", "home"]))


def test_a_second_click_on_the_same_item_of_a_request_says_nothing_new(stream: Stream) -> None:
    stream.send(opened("r1", "a", "b"), click("a", "r1"), click("a", "r1"), click("b", "r1"))
    assert stream.close().samples[0].clicked == (1, 1)
    assert stream.shown_clicked("a") == [1, 1] and len(stream.samples) == 1
    assert stream.partition.commit.accepted == 4


def test_a_click_after_the_window_stands_alone(stream: Stream) -> None:
    stream.send(opened("r1", "a"))
    stream.send(click("a", "r1", at_ms=WINDOW_MS), at_ms=WINDOW_MS)
    assert stream.labels() == [("r1", SEQUENCE_JOINED, (0,)), ("r1", SEQUENCE_KNOWN, (1,))]
    assert stream.shown_clicked("a") == [2, 1]


def test_a_click_alone_is_told_with_its_outcome_and_labels_no_head(stream: Stream) -> None:
    stream.send(click("a", "r1"))
    (sample,) = stream.samples
    assert sample.outcomes == (1,) and sample.labelled == 0


def test_how_late_the_log_is_read_does_not_matter(stream: Stream) -> None:
    late_ms = 50 * WINDOW_MS
    stream.send(opened("r1", "a"), at_ms=0, now_ms=late_ms)
    stream.send(click("a", "r1", at_ms=999), at_ms=999, now_ms=late_ms)
    stream.send(opened("r2", "b"), click("b", "r1"), at_ms=1_000, now_ms=late_ms)
    stream.send(now_ms=late_ms)
    assert stream.labels() == [
        ("r1", SEQUENCE_JOINED, (1,)),
        ("r1", SEQUENCE_KNOWN, (1,)),
        ("r2", SEQUENCE_JOINED, (0,)),
    ]


def test_the_id_of_a_request_belongs_to_its_user(stream: Stream) -> None:
    stream.send(opened("page-1", "a", "b", user="ann"), opened("page-1", "a", "b", user="bob"))
    stream.send(click("b", "page-1", user="bob"))
    stream.close()
    labels = {(sample.user_key, sample.clicked) for sample in stream.samples}
    assert labels == {(key("ann"), (0, 0)), (key("bob"), (0, 1))}


def test_a_click_that_names_the_request_of_another_user_stands_alone(stream: Stream) -> None:
    stream.send(opened("page-1", "a", user="ann"), click("a", "page-1", user="bob"))
    stream.close()
    labels = [(sample.user_key, sample.sequence, sample.clicked) for sample in stream.samples]
    assert labels == [(key("bob"), SEQUENCE_KNOWN, (1,)), (key("ann"), SEQUENCE_JOINED, (0,))]
    assert stream.shown_clicked("a") == [2, 1]


def test_a_click_on_an_item_that_its_request_did_not_show_stands_alone(stream: Stream) -> None:
    stream.send(opened("r1", "a"), click("z", "r1"))
    stream.close()
    assert stream.labels() == [("r1", SEQUENCE_KNOWN, (1,)), ("r1", SEQUENCE_JOINED, (0,))]
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
