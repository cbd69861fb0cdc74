"""What is taken back: outcomes of open impressions, counts, money and histories."""

from __future__ import annotations

import msgspec
import pytest
from one_partition import START_MS, WINDOW_MS, Stream, click, event_ids, history_of, opened

from headrace.action import BIT
from headrace.broker.record import Record
from headrace.event import ActionEvent, ImpressionEvent, Shown
from headrace.features.aggregation.facts import AMOUNT, MEASURES, VALUE, outcome
from headrace.features.table import ITEM_LAYOUT, LIFE
from headrace.keys import key
from headrace.stream.step.facts_of_step import StepFacts
from headrace.stream.step.join import Join

LIKES = LIFE.measures.index("like")


@pytest.fixture
def stream() -> Stream:
    return Stream()


def did(item: str, action: str, request: str | None = None, **more: object) -> ActionEvent:
    return ActionEvent(
        next(event_ids), START_MS, "ann", item, action, request_id=request,
        **more,  # type: ignore[arg-type]
    )  # fmt: skip


def back(item: str, action: str, request: str | None = None, **more: object) -> ActionEvent:
    return did(item, action, request, taken_back=True, **more)


def likes(stream: Stream, item: str) -> float:
    state = stream.merged.items.states(stream.merged.items.find([item]))
    return float(state[ITEM_LAYOUT.field_of[LIFE]][0, LIKES])


def test_an_outcome_loses_what_is_taken_back_while_its_impression_is_open(stream: Stream) -> None:
    stream.send(opened("r1", "a", "b"), click("a", "r1"), did("a", "purchase", "r1"))
    stream.send(did("b", "like", "r1"), back("a", "purchase", "r1"))
    (sample,) = stream.close().samples
    assert sample.outcomes == (BIT["click"], BIT["like"])


def test_a_negative_amount_takes_a_purchase_back(stream: Stream) -> None:
    paid = did("a", "purchase", "r1", amount_micros=5_000_000, currency="EUR")
    stream.send(opened("r1", "a"), paid)
    returned = {"event_id": "returned", "amount_micros": -5_000_000}
    stream.send(msgspec.structs.replace(paid, **returned))
    assert stream.close().samples[0].outcomes == (0,)


def test_it_may_come_again_after_it_was_taken_back(stream: Stream) -> None:
    stream.send(opened("r1", "a"), did("a", "like", "r1"), back("a", "like", "r1"))
    stream.send(did("a", "like", "r1"))
    assert likes(stream, "a") == 1
    assert stream.close().samples[0].outcomes == (BIT["like"],)


def test_of_an_open_impression_nothing_is_taken_back_that_did_not_come(stream: Stream) -> None:
    stream.send(opened("r1", "a"), back("a", "like", "r1"), back("a", "like", "r1"))
    assert likes(stream, "a") == 0
    stream.send(did("a", "like", "r1"), back("a", "like", "r1"), back("a", "like", "r1"))
    assert likes(stream, "a") == 0


def test_counts_go_down_also_long_after_the_impression(stream: Stream) -> None:
    stream.send(opened("r1", "a"), did("a", "like", "r1"))
    stream.close()
    assert likes(stream, "a") == 1
    late = back("a", "like", "r1")
    effects = stream.send(late, at_ms=200 * WINDOW_MS, now_ms=200 * WINDOW_MS)
    assert likes(stream, "a") == 0 and not effects.samples, "the sample has been made"


def test_a_grade_goes_with_the_action_that_carried_it(stream: Stream) -> None:
    stream.send(opened("r1", "a", "b"), click("a", "r1"), did("a", "like", "r1", value=0.4))
    stream.send(did("b", "like", "r1", value=0.4), did("b", "share", "r1"), click("b", "r1"))
    stream.send(back("a", "like", "r1"), back("b", "share", "r1"))
    (sample,) = stream.close().samples
    assert sample.outcomes == (BIT["click"], outcome(BIT["click"] | BIT["like"], 0.4))


def test_a_history_has_an_entry_for_it_in_which_nothing_was_done(stream: Stream) -> None:
    effects = stream.send(did("a", "purchase"), back("b", "purchase"))
    bought = BIT["click"] | BIT["purchase"]  # nobody was seen to show it: it was chosen
    entries = [(key("a"), START_MS, bought), (key("b"), START_MS, 0)]
    assert sorted(history_of(effects)) == sorted(entries)


def test_what_is_paid_is_a_measure_of_the_fact_and_what_is_paid_back_is_negative() -> None:
    join, facts = Join(WINDOW_MS), StepFacts()
    paid = did("a", "purchase", amount_micros=12_500_000, currency="EUR")
    bought = Shown("b", outcomes={"purchase": True}, amount_micros=3_000_000, currency="EUR")
    told = [paid, msgspec.structs.replace(paid, taken_back=True), did("a", "like", value=0.5),
            ImpressionEvent("e", START_MS, "ann", "r1", (bought,))]  # fmt: skip
    for offset, event in enumerate(told):
        join.take(event, Record(0, offset, START_MS, b"", b""), facts)
    measure_NM = facts.columns().measure_NM
    amount_N, value_N = (measure_NM[:, MEASURES.index(name)].tolist() for name in (AMOUNT, VALUE))
    assert amount_N == [12.5, -12.5, 0, 3] and value_N == [0, 0, 0.5, 0]
    assert measure_NM[:, MEASURES.index("purchase")].tolist() == [1, -1, 0, 1]
