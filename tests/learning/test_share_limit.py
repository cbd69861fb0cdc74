"""Share limits: nobody teaches the model alone, and nothing honest is left out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from shop import round_trip

from headrace.learning.share_limit import BURST, MAX_OF_A_REQUEST, ShareLimit
from headrace.sample import SEQUENCE_KNOWN, Sample


def sample(user_key: int, item_keys: Sequence[int], offset: int = 0) -> Sample:
    """A request whose features and outcomes tell the impressions apart."""
    num = len(item_keys)
    return Sample(
        source_partition=0,
        source_offset=offset,
        sequence=SEQUENCE_KNOWN,
        schema=1,
        request_id=f"r{offset}",
        event_time_ms=0,
        arrival_ms=0,
        user_key=user_key,
        user_word_keys=(),
        item_keys=tuple(item_keys),
        outcomes=tuple(n % 2 for n in range(num)),
        labelled=1,
        dense=np.arange(num * 3, dtype="<f4").tobytes(),
        history=np.zeros((3, 2), "<i8").tobytes(),
        positions=tuple(range(num)),
    )


def impressions(samples: Sequence[Sample], user_key: int | None = None) -> int:
    return sum(s.num_impressions for s in samples if user_key in (None, s.user_key))


def test_users_and_items_that_are_many_are_left_as_they_are() -> None:
    limit = ShareLimit()
    samples = [sample(n % 50 + 1, [n % 97 + 1, n % 89 + 200]) for n in range(3_000)]
    for start in range(0, len(samples), 100):
        part = samples[start : start + 100]
        assert limit.thinned(part) == part
    assert limit.num_left_out == 0


def test_a_user_alone_has_a_burst_and_no_more() -> None:
    limit = ShareLimit()
    kept = [
        one for n in range(40) for one in limit.thinned([sample(7, range(n * 100, n * 100 + 100))])
    ]
    assert abs(impressions(kept) - BURST) <= 1
    assert limit.num_left_out == 4_000 - impressions(kept)


def test_a_user_among_others_has_no_more_than_all_of_them_beyond_a_burst() -> None:
    limit, kept = ShareLimit(), []
    for n in range(2_000):
        loud = [sample(7, range(10 * n + 1, 10 * n + 10))]
        kept += limit.thinned([*loud, sample(100 + n, [10 * n])])
    others = 2_000
    assert impressions(kept) - impressions(kept, 7) == others
    assert abs(impressions(kept, 7) - BURST - others) <= 10


def test_an_item_alone_has_a_burst_and_no_more_whoever_is_said_to_see_it() -> None:
    limit = ShareLimit()
    kept = [one for n in range(5_000) for one in limit.thinned([sample(n + 1, [9])])]
    assert abs(impressions(kept) - BURST) <= 1


def test_a_request_of_a_thousand_items_counts_as_half_a_step_of_them() -> None:
    (kept,) = ShareLimit().thinned([sample(7, range(1, 1_001))])
    assert kept.num_impressions == MAX_OF_A_REQUEST
    places = np.array(kept.positions)
    assert (np.diff(places) >= 7).all() and places[-1] > 990, "of all places, not of the first"
    assert kept.item_keys == tuple(place + 1 for place in kept.positions)
    assert kept.outcomes == tuple(place % 2 for place in kept.positions)
    assert kept.dense_NF[:, 0].tolist() == [3 * place for place in kept.positions]


@settings(max_examples=25)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=8))
def test_the_sizes_of_batches_do_not_matter(sizes: list[int]) -> None:
    samples = [sample(7 if n % 3 else 100 + n, [n + 1]) for n in range(6_000)]
    whole, parts, start, turn = ShareLimit(), ShareLimit(), 0, 0
    for at in range(0, len(samples), 256):
        whole.thinned(samples[at : at + 256])
    while start < len(samples):
        size = 8 * sizes[turn % len(sizes)]
        parts.thinned(samples[start : start + size])
        start, turn = start + size, turn + 1
    assert abs(whole.num_left_out - parts.num_left_out) <= 512


def test_a_restart_changes_nothing() -> None:
    samples = [sample(7, [n + 1], n) for n in range(2_000)]
    whole, first, second = ShareLimit(), ShareLimit(), ShareLimit()
    expected = [one for n in range(0, 2_000, 50) for one in whole.thinned(samples[n : n + 50])]
    kept = [one for n in range(0, 1_000, 50) for one in first.thinned(samples[n : n + 50])]
    second.load_state(round_trip(first.state()))
    kept += [one for n in range(1_000, 2_000, 50) for one in second.thinned(samples[n : n + 50])]
    assert kept == expected and second.num_left_out == whole.num_left_out
