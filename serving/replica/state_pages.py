"""Pages of states: a change copies the pages that it touches, and readers keep the old ones.

N rows asked for   U rows of a change   G pages of rows   P pages that there is room for
"""

from __future__ import annotations

import weakref
from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headrace.features.aggregation.accumulators import State
from headrace.features.aggregation.facts import Ints
from headrace.features.aggregation.floats import whole
from headrace.features.aggregation.layout import Layout

PAGE_ROWS: Final = 8  # about a page of memory
SPARE_PAGES: Final = 1_024  # of changes that somebody still reads without


@dataclass(frozen=True, slots=True, weakref_slot=True)
class States:
    """The states by row at one moment, the blank one where a row has none."""

    state_PR: State  # page 0 is blank
    page_G: NDArray[np.int32]

    def take(self, row_N: Ints) -> State:
        """[N]: the states of these rows."""
        page_N, inside_N = np.divmod(row_N, PAGE_ROWS)
        in_use_N = page_N < len(self.page_G)
        place_N = np.where(in_use_N, self.page_G[np.where(in_use_N, page_N, 0)], 0)
        every = whole(self.state_PR.reshape(-1))
        taken: State = every.take(place_N * PAGE_ROWS + inside_N).view(self.state_PR.dtype)
        return taken


class StatePages:
    """The writer of states; `states` is a reading of them, which never changes.

    Pages of blank rows take no memory. A page that was replaced is used again once nobody reads
    states from before.
    """

    def __init__(self, layout: Layout, num_rows: int) -> None:
        self._layout = layout
        num_pages = -(-num_rows // PAGE_ROWS)
        self._num_pages = 1  # in use, the blank one too
        self._free: list[int] = []
        self._replaced: deque[tuple[weakref.ref[States], list[int]]] = deque()
        state_PR = self._room(num_pages + num_pages // 4 + SPARE_PAGES)
        self.states = States(state_PR, np.zeros(num_pages, np.int32))

    @property
    def num_bytes(self) -> int:
        """Bytes of the pages that were ever in use, and of where they are."""
        page_bytes = PAGE_ROWS * self.states.state_PR.dtype.itemsize
        return self._num_pages * page_bytes + self.states.page_G.nbytes

    def put(self, row_U: Ints, state_U: State) -> None:
        """Give distinct rows these states."""
        page_U, inside_U = np.divmod(row_U, PAGE_ROWS)
        before = self.states
        beyond = int(page_U.max(initial=-1)) + 1 - len(before.page_G)
        more = np.zeros(max(0, beyond + len(before.page_G) // 8 if beyond > 0 else 0), np.int32)
        page_G = np.concatenate([before.page_G, more])
        changed = np.unique(page_U)
        old = page_G[changed]
        fresh = self._take_pages(len(changed))
        state_PR = self.states.state_PR
        state_PR[fresh] = state_PR[old]
        page_G[changed] = fresh
        state_PR[page_G[page_U], inside_U] = state_U
        self._replaced.append((weakref.ref(before), old[old != 0].tolist()))
        self.states = States(state_PR, page_G)

    def clear(self, row_U: Ints) -> None:
        """Give rows the blank state."""
        self.put(row_U, self._layout.new(len(row_U)))

    def _take_pages(self, num: int) -> list[int]:
        """Pages that nobody reads: those that were replaced long enough ago, then new ones."""
        while self._replaced and self._replaced[0][0]() is None:
            self._free += self._replaced.popleft()[1]
        taken = [self._free.pop() for _ in range(min(num, len(self._free)))]
        end = self._num_pages + num - len(taken)
        if end > len(self.states.state_PR):
            state_PR = self._room(2 * end)
            state_PR[: self._num_pages] = self.states.state_PR[: self._num_pages]
            self.states = States(state_PR, self.states.page_G)
        taken += range(self._num_pages, end)
        self._num_pages = end
        return taken

    def _room(self, num_pages: int) -> State:
        """So many pages, of which only those that are written to take memory."""
        blank = self._layout.new(PAGE_ROWS)
        state_PR: State = np.zeros((num_pages, PAGE_ROWS), blank.dtype)
        state_PR[0] = blank
        return state_PR
