"""States by row: written a page at a time, and what was read of them stays as it was."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.features.aggregation.accumulators import State
from headrace.features.table import ITEM_LAYOUT
from serving.replica.state_pages import PAGE_ROWS, StatePages

NUM_ROWS = 40
BLANK = ITEM_LAYOUT.new(1).tobytes()
rows = st.lists(st.integers(0, 3 * NUM_ROWS), min_size=1, max_size=20, unique=True)


def states_of(rows: list[int], seed: int) -> State:
    """States that tell each other apart by every byte."""
    size = ITEM_LAYOUT.new(1).dtype.itemsize
    random = np.random.default_rng(seed)
    return random.integers(0, 255, (len(rows), size), np.uint8).view(ITEM_LAYOUT.new(1).dtype)[:, 0]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(rows, st.booleans(), st.booleans()), max_size=25))
def test_each_moment_that_is_held_stays_as_it_was(
    steps: list[tuple[list[int], bool, bool]],
) -> None:
    pages, there = StatePages(ITEM_LAYOUT, NUM_ROWS), dict[int, bytes]()
    held = [(pages.states, dict(there))]
    for seed, (changed, clears, is_held) in enumerate(steps):
        array = np.array(changed)
        if clears:
            pages.clear(array)
            there |= dict.fromkeys(changed, BLANK)
        else:
            new = states_of(changed, seed)
            pages.put(array, new)
            there |= {row: state.tobytes() for row, state in zip(changed, new, strict=True)}
        if is_held:
            held.append((pages.states, dict(there)))
        if seed % 7 == 6:
            del held[0]  # who held it has done with it
        for states, wanted in [*held, (pages.states, there)]:
            read = states.take(np.arange(4 * NUM_ROWS))
            assert [state.tobytes() for state in read] == [
                wanted.get(row, BLANK) for row in range(4 * NUM_ROWS)
            ]


def test_states_that_nobody_holds_leave_their_pages_to_others() -> None:
    pages = StatePages(ITEM_LAYOUT, 1 << 20)
    sizes = []
    for turn in range(500):
        row_U = np.arange(turn % 40, PAGE_ROWS * 40, 5)
        pages.put(row_U, ITEM_LAYOUT.new(len(row_U)))
        sizes.append(pages.num_bytes)
    assert max(sizes) == sizes[5] and sizes[-1] < 6_000_000  # of a million rows without events
