"""Sequences: the last outcomes in order, and what is counted in them."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_facts import (
    NUM_ENTITIES,
    START_MS,
    TILE_MS,
    Fact,
    logs,
    newest_first,
    of_entity,
    randoms,
    reading_times_ms,
    rearranged,
    state_of,
)

from headrace.action import FEATURED
from headrace.features.aggregation.facts import Ints
from headrace.features.aggregation.sequence import LastN, Recent, Session

PAUSE_MS = 2 * TILE_MS
LAST = LastN(6)
examples = settings(max_examples=60)


def counts(outcomes: Sequence[Fact]) -> list[float]:
    """How many outcomes there are, and how many of each action with features."""
    came = [[max(getattr(one, name), 0) for one in outcomes] for name in FEATURED]
    return [len(outcomes), *map(sum, came)]


@pytest.mark.parametrize("length", [1, 3, 4, 7, 64])
@examples
@given(log=logs(), random=randoms())
def test_the_last_n_are_the_newest_settled_outcomes(
    length: int, log: list[Fact], random: Random
) -> None:
    last = LastN(length)
    state_U = last.read(state_of(last, *rearranged(log, random)), np.zeros(NUM_ENTITIES, np.int64))
    for entity in range(NUM_ENTITIES):
        kept = newest_first(of_entity(log, entity), length)
        expected = [
            (f.item, f.time_ms, f.actions, min(f.position, 255), f.surface, f.of_whole)
            for f in kept
        ]
        expected += [(0, 0, 0, 0, 0, 0)] * (length - len(kept))
        names = ("item", "time_ms", "action", "position", "surface", "share")
        found = zip(*(state_U[name][entity].tolist() for name in names), strict=True)
        assert list(found) == expected


def test_an_open_impression_enters_by_what_comes_of_it() -> None:
    shown = Fact(item=7, settled=False)
    assert not state_of(LAST, [shown])["item"].any()
    clicked = Fact(item=7, time_ms=START_MS + 5, shown=0.0, click=1.0)
    state = state_of(LAST, [shown], [clicked])[0]
    assert state["item"].tolist() == [7, 0, 0, 0, 0, 0]
    assert (state["time_ms"][0], state["action"][0]) == (START_MS + 5, 1)


def test_two_outcomes_of_an_item_at_once_lie_in_one_order_however_they_arrived() -> None:
    one, other, third = Fact(position=1), Fact(click=1.0, position=0), Fact(position=300)
    states = [
        state_of(LAST, *([outcome] for outcome in arrived))[0]
        for arrived in ((one, other, third), (third, other, one), (other, one, third))
    ]
    assert states[0].tobytes() == states[1].tobytes() == states[2].tobytes()
    assert states[0]["action"].tolist() == [1, 0, 0, 0, 0, 0]
    assert states[0]["position"].tolist() == [0, 255, 1, 0, 0, 0]


@examples
@given(log=logs(), num=st.integers(1, 9), now_ms_U=reading_times_ms())
def test_recent_counts_the_first_of_a_sequence(log: list[Fact], num: int, now_ms_U: Ints) -> None:
    counts_Um = Recent(LAST, num).read(state_of(LAST, log), now_ms_U)
    for entity in range(NUM_ENTITIES):
        kept = newest_first(of_entity(log, entity), LAST.length)
        assert counts_Um[entity].tolist() == counts(kept[:num])


@examples
@given(log=logs(), num=st.integers(1, LAST.length), surface=st.sampled_from([0, 1, 17]))
def test_outcomes_are_counted_on_one_surface(log: list[Fact], num: int, surface: int) -> None:
    surface_U = np.full(NUM_ENTITIES, surface)
    counts_Um = Recent(LAST, num).read_on(state_of(LAST, log), surface_U)
    for entity in range(NUM_ENTITIES):
        kept = newest_first(of_entity(log, entity), LAST.length)[:num]
        assert counts_Um[entity].tolist() == counts([f for f in kept if f.surface == surface])


def session(outcomes: Sequence[Fact], now_ms: int) -> list[Fact]:
    """The outcomes, newest first, up to the first pause before now."""
    inside, later_ms = [], now_ms
    for outcome in outcomes:
        if later_ms - outcome.time_ms >= PAUSE_MS:
            break
        inside.append(outcome)
        later_ms = outcome.time_ms
    return inside


@settings(max_examples=120)
@given(log=logs(), now_ms_U=reading_times_ms())
def test_a_session_is_what_came_since_the_last_pause(log: list[Fact], now_ms_U: Ints) -> None:
    counts_Um = Session(LAST, PAUSE_MS).read(state_of(LAST, log), now_ms_U)
    for entity, now_ms in enumerate(now_ms_U.tolist()):
        kept = newest_first(of_entity(log, entity), LAST.length)
        assert counts_Um[entity].tolist() == counts(session(kept, now_ms))


def shown_in_session(after_ms: Sequence[int], now_after_ms: int) -> float:
    log = [Fact(time_ms=START_MS + after) for after in after_ms]
    now_ms_U = np.full(NUM_ENTITIES, START_MS + now_after_ms)
    return float(Session(LAST, PAUSE_MS).read(state_of(LAST, log), now_ms_U)[0, 0])


def test_a_session_ends_when_a_pause_is_as_long_as_the_limit() -> None:
    assert shown_in_session([0, 1_999, 3_998], 5_997) == 3
    assert shown_in_session([0, 2_000, 3_999], 5_998) == 2
    assert shown_in_session([0, 2_000, 3_999], 5_999) == 0


def test_a_session_counts_no_more_than_the_sequence_keeps() -> None:
    assert shown_in_session(range(50), 50) == LAST.length
