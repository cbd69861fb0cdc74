"""Facts as plain Python values, to recount by hand what the columns say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from hypothesis import strategies as st

from headrace.features.aggregation.accumulators import Accumulator, State
from headrace.features.aggregation.facts import ACTIONS, MEASURES, Facts, Ints

START_MS = 1_714_554_000_000
TILE_MS = 1_000
SPAN_MS = 12 * TILE_MS
NUM_ENTITIES = 3
NUM_SLOTS = 6
MAX_SLOTS = 3


@dataclass(frozen=True)
class Fact:
    """One fact about one entity."""

    entity: int = 0
    time_ms: int = START_MS
    item: int = 1
    position: int = 0
    surface: int = 0
    shown: float = 1.0
    click: float = 0.0
    like: float = 0.0
    long_view: float = 0.0
    add_to_cart: float = 0.0
    purchase: float = 0.0  # -1: it was taken back
    share: float = 0.0
    hide: float = 0.0
    report: float = 0.0
    value: float = 0.0
    amount: float = 0.0
    settled: bool = True
    slots: tuple[int, ...] = ()

    @property
    def actions(self) -> int:
        """The actions as bits, without what was taken back."""
        return sum(1 << bit for bit, name in enumerate(ACTIONS) if getattr(self, name) > 0)

    @property
    def of_whole(self) -> int:
        """The value in 255ths, as far as it lies between 0 and 1."""
        return round(255 * min(max(self.value, 0.0), 1.0))

    @property
    def outcome(self) -> int:
        """The actions, and the share in the byte above them."""
        return self.actions + 256 * self.of_whole


def made_up(random: Random) -> Fact:
    """A settled or open impression, or an action that came later, of any entity and time.

    All numbers are multiples of 1/4 and small, so that their sums are exact in float32; several
    facts are often of one millisecond, and of one item.
    """
    after_ms = random.choice([0, TILE_MS - 1, TILE_MS, 5 * TILE_MS, random.randint(0, SPAN_MS)])
    slots = random.sample(range(NUM_SLOTS), random.randint(0, MAX_SLOTS))
    came = {name: random.choice([0.0, 0.0, 1.0]) for name in ACTIONS}
    taken_back = random.choice([None, None, None, *ACTIONS[1:]])
    return Fact(
        entity=random.randrange(NUM_ENTITIES),
        time_ms=START_MS + after_ms,
        item=random.choice([1, 2, 3, 4, random.randint(1, 2**63 - 1)]),
        position=random.choice([0, 1, 2, random.randint(250, 300)]),
        surface=random.choice([0, 1, 17, random.randint(0, 255)]),
        shown=random.choice([0.0, 1.0]),
        value=random.choice([0.0, 0.0, 0.25, 1.5, -2.75, 7.0]),
        amount=random.choice([0.0, 0.0, 19.25, -19.25]),
        settled=random.random() < 0.7,
        slots=tuple(sorted(slots)),
        **({taken_back: -1.0} if taken_back else came),
    )


def randoms() -> st.SearchStrategy[Random]:
    return st.integers(0, 2**32).map(Random)


def logs(max_size: int = 25) -> st.SearchStrategy[list[Fact]]:
    """Facts in any order; long logs are as likely as short ones, which come first in shrinking."""

    def log(size: int, random: Random) -> list[Fact]:
        return [made_up(random) for _ in range(size)]

    return st.builds(log, st.integers(0, max_size), randoms())


def reading_times_ms() -> st.SearchStrategy[Ints]:
    """A time of reading per entity, before, among and after the facts."""
    one = st.integers(-3 * TILE_MS, 2 * SPAN_MS).map(lambda after_ms: START_MS + after_ms)
    size = NUM_ENTITIES
    return st.lists(one, min_size=size, max_size=size).map(lambda each: np.array(each, np.int64))


def columns(log: Sequence[Fact]) -> Facts:
    """These facts in this order."""
    slots = [fact.slots + (-1,) * (MAX_SLOTS - len(fact.slots)) for fact in log]
    measures = [[getattr(fact, name) for name in MEASURES] for fact in log]
    return Facts(
        entity_N=np.array([fact.entity for fact in log], np.int64),
        time_ms_N=np.array([fact.time_ms for fact in log], np.int64),
        item_key_N=np.array([fact.item for fact in log], np.int64),
        position_N=np.array([fact.position for fact in log], np.int64),
        surface_N=np.array([fact.surface for fact in log], np.int64),
        measure_NM=np.array(measures, np.float32).reshape(len(log), len(MEASURES)),
        settled_N=np.array([fact.settled for fact in log], bool),
        slot_NS=np.array(slots, np.int64).reshape(len(log), MAX_SLOTS),
        word_NW=np.zeros((len(log), 0), np.int64),
    )


def fresh(accumulator: Accumulator, num: int = NUM_ENTITIES) -> State:
    """[num]: states before any fact."""
    state_U = np.empty(num, accumulator.dtype)
    state_U[...] = accumulator.initialize()
    return state_U


def state_of(accumulator: Accumulator, *batches: Sequence[Fact]) -> State:
    """[NUM_ENTITIES]: the states that these batches came to, in this order."""
    state_U = fresh(accumulator)
    for batch in batches:
        accumulator.add(state_U, columns(batch))
    return state_U


def rearranged(log: Sequence[Fact], random: Random) -> list[list[Fact]]:
    """The same facts as they might arrive as well: in another order, in several batches."""
    shuffled = random.sample(log, len(log))
    cuts = sorted(random.randint(0, len(log)) for _ in range(random.randint(0, 4)))
    return [shuffled[a:b] for a, b in zip([0, *cuts], [*cuts, len(log)], strict=True)]


def of_entity(log: Sequence[Fact], entity: int) -> list[Fact]:
    return [fact for fact in log if fact.entity == entity]


def total(log: Sequence[Fact], measure: str) -> float:
    return sum(getattr(fact, measure) for fact in log)


def _newness(fact: Fact) -> tuple[int, ...]:
    position = min(fact.position, 255)
    return fact.time_ms, fact.item, fact.actions, position, fact.surface, fact.of_whole


def newest_first(log: Sequence[Fact], length: int) -> list[Fact]:
    """The last settled outcomes, as a sequence keeps them."""
    settled = [fact for fact in log if fact.settled]
    settled.sort(key=_newness, reverse=True)
    return settled[:length]
