"""Negatives: what is drawn beside a positive that no impression showed, and how probable it was."""

from __future__ import annotations

from collections import Counter
from random import Random

import numpy as np
import pytest
from one_partition import (
    ITEM_COUNT,
    NUMBER,
    START_MS,
    WINDOW_MS,
    Stream,
    click,
    event_ids,
    known,
    opened,
)

from benchmarks.plain_draws import PlainDraws
from headrace.action import BIT, CLICK
from headrace.broker.record import Record
from headrace.catalogue.item import Item
from headrace.event import ActionEvent, Event, encode
from headrace.features.rows.merged import MergedState
from headrace.keys import key
from headrace.positions.commit import Commit
from headrace.sample import SEQUENCE_KNOWN, Sample
from headrace.stream.step.facts_of_step import SampleRequest
from headrace.stream.step.intake import decode_records
from headrace.stream.step.negatives import Draws, Negatives
from headrace.stream.step.partition import Partition, PartitionSettings

CATALOGUE = tuple(f"i{n}" for n in range(50))
OF_KEY = {key(item_id): item_id for item_id in CATALOGUE}


def drawing(
    per_positive: int = 4,
    popularity: float = 0.75,
    item_ids: tuple[str, ...] = CATALOGUE,
    dedupe_window: int = 40,
) -> Stream:
    negatives = Negatives(per_positive, popularity, item_ids)
    return Stream(dedupe_window, negatives=negatives)


def like(item: str, user: str = "ann") -> ActionEvent:
    return ActionEvent(next(event_ids), START_MS, user, item, "like")


def items_of(sample: Sample) -> tuple[str, ...]:
    return tuple(OF_KEY[item_key] for item_key in sample.item_keys)


def drawn_log(random: Random, num: int) -> list[Event]:
    """Positives of every kind, most of few items, some in no catalogue, copies among them."""
    events: list[Event] = []
    while len(events) < num:
        item = f"i{min(int(random.expovariate(0.1)), 60)}"
        kind = random.choice(["click", "like", "known", "opened", "copy"])
        if kind == "copy" and events:
            events.append(random.choice(events[-30:]))
        elif kind == "known":
            events.append(known(f"k{len(events)}", [random.random() < 0.5 for _ in range(3)]))
        elif kind == "opened":
            events.append(opened(f"o{len(events)}", item))
        else:
            events.append(click(item) if kind == "click" else like(item))
    return events


def test_a_positive_without_an_impression_is_the_first_of_items_drawn_beside_it() -> None:
    stream = drawing()
    (sample,) = stream.send(click("i7")).samples
    assert items_of(sample)[0] == "i7" and len(set(sample.item_keys)) == 5
    assert sample.outcomes == (BIT[CLICK], 0, 0, 0, 0) and sample.labelled == BIT[CLICK]
    assert len(sample.dense_NF) == len(sample.log_q_N) == 5 and not sample.positions
    assert sample.log_q_N == pytest.approx([np.log(1 / 50)] * 5)  # nothing is popular yet


def test_an_action_without_an_impression_says_that_its_item_was_chosen() -> None:
    stream = drawing()
    (sample,) = stream.send(like("i7")).samples
    both = BIT[CLICK] | BIT["like"]
    assert sample.outcomes[0] == sample.labelled == both
    assert stream.shown_clicked("i7") == [1, 1]


def test_what_is_drawn_has_the_features_of_the_request() -> None:
    stream = drawing(item_ids=("i0", "i1"))
    stream.send(click("i0"), click("i0"))
    (sample,) = stream.send(click("i1")).samples
    assert items_of(sample) == ("i1", "i0")
    ever = np.expm1(sample.dense_NF[:, ITEM_COUNT])
    assert ever == pytest.approx([0, 2], abs=1e-5)


def test_what_has_an_impression_is_not_drawn_for() -> None:
    stream = drawing()
    stream.send(opened("r1", "i1", "i2"), click("i1", "r1"))
    (sample,) = stream.close().samples
    assert not sample.log_q and sample.clicked == (1, 0)


@pytest.mark.parametrize(
    ("per_positive", "item", "item_ids"),
    [(0, "i1", CATALOGUE), (4, "nobody's", CATALOGUE), (4, "i1", ("i1",)), (4, "i1", ())],
)
def test_without_anything_to_draw_a_click_labels_no_head(
    per_positive: int, item: str, item_ids: tuple[str, ...]
) -> None:
    stream = drawing(per_positive, item_ids=item_ids)
    (sample,) = stream.send(click(item)).samples
    assert sample.item_keys == (key(item),) and sample.outcomes == (BIT[CLICK],)
    assert sample.labelled == 0 and not sample.log_q


def test_a_small_catalogue_is_drawn_whole() -> None:
    stream = drawing(item_ids=("i0", "i1", "i2"))
    (sample,) = stream.send(click("i1")).samples
    assert sorted(items_of(sample)) == ["i0", "i1", "i2"] and items_of(sample)[0] == "i1"


@pytest.mark.parametrize("popularity", [0.0, 0.75, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_what_is_drawn_equals_a_recount_whatever_the_steps(seed: int, popularity: float) -> None:
    random = Random(seed)
    events = drawn_log(random, 300)
    stream = drawing(popularity=popularity)
    left = list(events)
    while left:
        step, left = left[: (size := random.randint(1, 40))], left[size:]
        stream.send(*step)
    check_recount(stream.samples, events, popularity)


@pytest.mark.parametrize("seed", range(5))
def test_a_restart_anywhere_draws_the_same(seed: int) -> None:
    random = Random(seed)
    events = drawn_log(random, 200)
    records = [Record(NUMBER, n, START_MS, b"", encode(event)) for n, event in enumerate(events)]
    negatives = Negatives(4, 0.75, CATALOGUE)
    rules = PartitionSettings(40, WINDOW_MS, negatives=negatives)
    commit, samples = Commit(), list[Sample]()
    while commit.offset < len(records):
        partition = Partition(NUMBER, commit, MergedState(Item), rules)
        before = decode_records(records[partition.warm_up_from : commit.offset], START_MS)
        for decoded in (
            before,
            decode_records(records[commit.offset :][: random.randint(1, 60)], START_MS),
        ):
            missing = partition.missing_users(decoded)
            partition.add_users(missing, [None] * len(missing), [()] * len(missing))
            if decoded is before:
                partition.warm_up(decoded)
            else:
                samples += partition.process(decoded, START_MS).samples
        commit = partition.commit
    check_recount(samples, events, 0.75)


def check_recount(samples: list[Sample], events: list[Event], popularity: float) -> None:
    plain = PlainDraws(CATALOGUE, 4, popularity, dedupe_window=40)
    expected = {}
    for offset, event in enumerate(events):
        if event.event_id not in {one.event_id for one in events[max(offset - 40, 0) : offset]}:
            if not hasattr(event, "items"):
                expected[offset] = plain.drawn(NUMBER, offset, event.item_id)
        plain.add(offset, event)
    drawn = {one.source_offset: one for one in samples if one.log_q}
    assert drawn.keys() == {offset for offset, (items, _) in expected.items() if len(items) > 1}
    for offset, sample in drawn.items():
        items, log_q = expected[offset]
        assert items_of(sample) == items
        assert sample.log_q_N == pytest.approx(log_q, abs=1e-5)


def test_items_come_as_often_as_log_q_says() -> None:
    random, first = Random(0), 4_096
    draws = Draws(NUMBER, Negatives(1, 0.75, CATALOGUE), window=100_000)
    past = [click(f"i{min(int(random.expovariate(0.2)), 39)}") for _ in range(first)]
    draws.count((Record(NUMBER, n, START_MS, b"", b""), event) for n, event in enumerate(past))
    requests = [asked(first + n, "i49") for n in range(4_000)]
    draws.draw(requests)
    q_of = {one.item_ids[1]: np.frombuffer(one.log_q, "<f4")[1] for one in requests}
    counts = Counter(one.item_ids[1] for one in requests)
    assert len(counts) > 30 and not counts["i49"]
    for item, log_q in q_of.items():
        expected = len(requests) * np.exp(log_q)  # that of the chosen is drawn again, 1 of 1,000
        assert abs(counts[item] - expected) < 5 * np.sqrt(expected)


def test_of_another_catalogue_is_drawn_as_if_it_had_been_the_first() -> None:
    random, num = Random(1), 9_000
    after = ("i49", "new", *reversed(CATALOGUE[10:40]), "newer")
    old, new = (Negatives(4, 0.75, ids) for ids in (CATALOGUE, after))
    events = [click(f"i{min(int(random.expovariate(0.1)), 49)}") for _ in range(num)]
    records = [(Record(NUMBER, n, START_MS, b"", b""), one) for n, one in enumerate(events)]
    follows, fresh = Draws(NUMBER, old, window=8_000), Draws(NUMBER, new, window=8_000)
    for first in range(0, num, 3_000):
        for draws in (follows, fresh):
            draws.count(records[first : first + 3_000])
            draws.draw([asked(first + n, "i12") for n in range(0, 3_000, 500)])
    follows.follow(Negatives(4, 0.75, after))
    requests = [[asked(num + n, item) for n, item in enumerate(after)] for _ in range(2)]
    for draws, of_draws in zip((follows, fresh), requests, strict=True):
        draws.draw(of_draws)
    for one, other in zip(*requests, strict=True):
        assert (one.item_ids, one.log_q) == (other.item_ids, other.log_q)
        assert len(one.item_ids) == 5 and set(one.item_ids) <= set(after)


def asked(offset: int, item: str) -> SampleRequest:
    record = Record(NUMBER, offset, START_MS, b"", b"")
    made = SampleRequest(click(item), record, (item,), SEQUENCE_KNOWN, 0, ordinal=1)
    made.chosen = BIT[CLICK]
    return made
