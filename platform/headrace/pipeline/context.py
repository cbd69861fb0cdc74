"""The context of a request: its parameters, the data it reads, and its stages' results so far."""

from __future__ import annotations

import math
import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from headrace.application.condition import Condition
from headrace.catalogue.table.table import ItemTable
from headrace.event import DEFAULT_SURFACE
from headrace.events.declared import Told
from headrace.features.aggregation.accumulators import State, Values
from headrace.features.aggregation.facts import Ints, action_masks, are_chosen
from headrace.features.store.last_items import EMPTY, USER_HIDES, Entries
from headrace.features.table import USER_LAYOUT
from headrace.index.vector_index import VectorIndex
from headrace.pipeline.candidates import Candidates, no_candidates
from headrace.pipeline.sessions import SessionMemory

NUM_ANCHORS: Final = 10  # of a user
PAUSE_MS: Final = 1_800_000  # between two choices, which ends a session
_AGE: Final = re.compile(r"age=(\d{1,3})(?!\d)")
NO_TIME: Final = np.zeros(1, np.int64)  # for features that do not depend on it


class StatesByRow(Protocol):
    """States of accumulators by catalogue row."""

    def take(self, row_N: Ints) -> State:
        """[N]: the states of these rows."""
        ...


class UserVectors(Protocol):
    """An index of items' vectors, and the vectors of users to search it with."""

    @property
    def index(self) -> VectorIndex: ...

    def of_user(
        self, key_P: Ints, grade_P: NDArray[np.float32], word_keys: tuple[int, ...]
    ) -> NDArray[np.float32]:
        """[D]: of a user with these past events and attributes."""
        ...


class ContentVectors(Protocol):
    """Vectors of the items' content, and the index of them."""

    @property
    def index(self) -> VectorIndex: ...

    def vectors(self, key_U: Ints) -> NDArray[np.float32]:
        """[U, D]: of these items, zeros where nothing is told of one."""
        ...


class Snapshot(Protocol):
    """A snapshot of data that changes during serving; a request reads one, which stays."""

    @property
    def trending_rows(self) -> Ints:
        """Catalogue rows, most clicked of late first."""
        ...

    @property
    def companions(self) -> StatesByRow:
        """The items that each item was chosen together with (`headrace.features.companions`)."""
        ...

    @property
    def sessions(self) -> SessionMemory:
        """The sessions of the last requests."""
        ...

    @property
    def factors(self) -> UserVectors | None:
        """The item factors of the version that ranks, None where there is none."""
        ...

    @property
    def towers(self) -> UserVectors | None:
        """The newest two towers, None where there are none."""
        ...

    @property
    def content(self) -> ContentVectors | None:
        """The content vectors of the catalogue, None until they were made."""
        ...

    @property
    def fresh_rows(self) -> Ints:
        """Catalogue rows of new items that were shown seldom, those shown least first."""
        ...

    @property
    def surface_trends(self) -> Mapping[int, State]:
        """The items that are clicked on each surface (`headrace.features.surface_trends`), by the
        byte of the surface."""
        ...

    def vectors(self, name: str, row_N: Ints) -> NDArray[np.float32] | None:
        """[N, D]: the ranker's "content" or "factors" of the items in these rows, None without a
        model."""
        ...


@dataclass(frozen=True, slots=True)
class User:
    """The requesting user: the feature state, the word keys of the attributes, and the lists of
    his last items that are read (`headrace.features.store.last_items`). `age` is in years, 0 where
    it is not known; `words` are the attributes as they are told."""

    state_1: State = field(default_factory=lambda: USER_LAYOUT.new(1))
    word_keys: tuple[int, ...] = ()
    lists: Mapping[str, Entries] = field(default_factory=dict)
    age: int = 0
    words: Sequence[str] = ()

    @property
    def history_4T(self) -> Ints:
        """Item keys (0: empty), ages in ms, outcomes and positions of the last events."""
        history_4T: Ints = USER_LAYOUT.value("user_history", self.state_1, NO_TIME)[0]
        return history_4T

    def chosen_keys(self, most: int) -> list[int]:
        """The keys of the different items that the user chose last, the newest first."""
        key_T, _, outcome_T, _ = self.history_4T
        is_chosen_T = are_chosen(action_masks(outcome_T)) & (key_T != 0)
        return [*dict.fromkeys(key_T[is_chosen_T].tolist())][:most]

    def session_keys(self, now_ms: int) -> list[int]:
        """The keys of the different items that the user chose since his last pause, in order."""
        key_K, age_ms_K = self._chosen(now_ms)
        pauses = np.flatnonzero(np.diff(age_ms_K) > PAUSE_MS)
        last_L = key_K[: pauses[0] + 1] if len(pauses) else key_K
        return [*dict.fromkeys(last_L[::-1].tolist())]

    def is_in_session(self, now_ms: int) -> bool:
        """Whether the user chose something a short while ago."""
        _, age_ms_K = self._chosen(now_ms)
        return bool(len(age_ms_K) and age_ms_K[0] <= PAUSE_MS)

    def _chosen(self, now_ms: int) -> tuple[Ints, Ints]:
        """[K] each: the keys of the items that the user chose, and how long ago, newest first."""
        history_4T = USER_LAYOUT.value("user_history", self.state_1, np.array([now_ms]))[0]
        key_T, age_ms_T, outcome_T, _ = history_4T
        chosen_K = np.flatnonzero(are_chosen(action_masks(outcome_T)) & (key_T != 0))
        return key_T[chosen_K], age_ms_T[chosen_K]

    def hidden_keys(self, now_ms: int) -> list[int]:
        """The keys of the items that the user's actions hide at this time."""
        return [
            key
            for name, hides_s in USER_HIDES.items()
            for key, time_s in self.lists.get(name, EMPTY).tolist()
            if time_s and now_ms < 1_000 * (time_s + hides_s)
        ]


@dataclass(slots=True, kw_only=True)
class Context:
    """One request on its way through the stages. Whoever runs them keeps `stage_ms`, `degraded`."""

    user_id: str
    now_ms: int
    catalogue: ItemTable
    snapshot: Snapshot
    num_items: int  # wanted in the answer
    surface: str = DEFAULT_SURFACE
    told: Told = field(default_factory=dict)  # what the request told beside, as it is declared
    exclude: Sequence[str] = ()  # ids of items that the request does not want
    categories: Sequence[str] = ()  # of the page, or those that are asked for
    deadline_ms: float = math.inf  # since the request began
    condition: Condition | None = None  # of the request, that items have to meet
    given: Ints | None = None  # catalogue rows that alone are candidates
    about: Sequence[int] = ()  # catalogue rows that others are to go with
    user: User = field(default_factory=User)  # a new one, until it is hydrated
    found: dict[str, Ints] = field(default_factory=dict)  # catalogue rows, by the source's name
    scores: dict[str, Values] = field(default_factory=dict)  # of found rows, if a source has them
    candidates: Candidates = field(default_factory=no_candidates)
    columns: object = None  # those that a filter has read of the candidates, for the next one
    spare: int = 0  # candidates that filters may remove
    widened: int = 1  # times their quota that sources are asked for
    has_more: bool = False  # a source found as many as it was asked for
    pinned: Mapping[int, int] = field(default_factory=dict)  # positions, by catalogue row
    over_cap: Sequence[int] = ()  # catalogue rows that are there for want of others
    seen_again: Sequence[int] = ()  # catalogue rows that stay for want of others, in their order
    request_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    degraded: list[str] = field(default_factory=list)  # what had to be done without
    stage_ms: dict[str, float] = field(default_factory=dict)
    clock: Callable[[], float] = time.perf_counter  # seconds
    began_s: float = field(init=False)

    def __post_init__(self) -> None:
        self.began_s = self.clock()

    def anchors(self) -> Ints:
        """The catalogue rows that candidates are to go with: those that the request is about, or
        the items that the user chose last, the newest first."""
        if self.about:
            return np.asarray(self.about, np.int64)
        rows: Ints = self.catalogue.rows_of_keys(self.user.chosen_keys(NUM_ANCHORS))
        known: Ints = rows[rows != 0]
        return known

    def is_in_session(self) -> bool:
        """Whether the user chose something a short while ago."""
        return self.user.is_in_session(self.now_ms)

    def session(self) -> list[int]:
        """The catalogue rows that the user chose since his last pause, in their order."""
        rows = self.catalogue.rows_of_keys(self.user.session_keys(self.now_ms))
        chosen: list[int] = rows[rows != 0].tolist()
        return chosen

    def outside(self, rows: Sequence[int] | Ints) -> NDArray[np.bool_]:
        """[C]: which candidates are none of these catalogue rows."""
        if not len(rows):
            return np.ones(len(self.candidates), np.bool_)
        return np.isin(self.candidates.row_C, np.asarray(rows, np.int64), invert=True)

    def hidden_keys(self) -> list[int]:
        """The keys of the items that are hidden from the user now."""
        return self.user.hidden_keys(self.now_ms)

    def elapsed_ms(self) -> float:
        """Since the request began."""
        return (self.clock() - self.began_s) * 1_000


def age_of(attributes: Sequence[str]) -> int:
    """The age that a user's attributes tell, of a range such as `age=25-34` where it begins; 0
    where they tell none."""
    for word in attributes:
        if found := _AGE.match(word):
            return int(found[1])
    return 0
