"""Negatives: catalogue items drawn beside a positive that no impression showed, with log q of each.

What is drawn is a property of the partition's log and of the catalogue alone, so that a restart, a
replay and a recount draw the same. The random numbers come from partition and offset. The
popularity of an item is how many positives of it lie in the last offsets of the partition, as far
back as ids are remembered against copies: a restart reads those again anyway. It is counted anew
once the log has grown by an eighth, at offsets that do not depend on how it was read.

    D positives   T tries   X items of a request, the positive first   N items of the catalogue
    V items with positives in the window   W positives of the window
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from headrace.action import BIT, CLICK, TABLE
from headrace.broker.record import Record
from headrace.config import Settings
from headrace.event import ClickEvent, Event, ImpressionEvent
from headrace.features.aggregation.facts import Ints
from headrace.stream.step.facts_of_step import SampleRequest

RECOUNT_BITS: Final = 12  # popularity is counted anew every so many bits of offsets, at most
UNIT: Final = 1 << 10  # weights are whole numbers of these: no processor rounds them otherwise
MAX_TRIES: Final = 1 << 12
WISHES: Final = frozenset(row.name for row in TABLE if row.wish)

Bits = NDArray[np.uint64]


class Negatives:
    """The rules of the draw: so many items a positive, by popularity to this power, of these items.

    Half of what is drawn, at most, is drawn evenly: items without a positive are drawn as well.
    """

    def __init__(self, per_positive: int, popularity: float, item_ids: Iterable[str] = ()) -> None:
        self.per_positive, self.popularity = per_positive, popularity
        self._given = item_ids

    @classmethod
    def of(cls, settings: Settings, item_ids: Iterable[str]) -> Negatives:
        """The rules of the platform's settings, for a catalogue in its order."""
        stream = settings.stream
        return cls(stream.negatives_per_positive, stream.negatives_popularity, item_ids)

    @cached_property  # these are made once a positive comes without an impression
    def item_ids(self) -> tuple[str, ...]:
        """[N]: the items by place."""
        return tuple(self._given)

    @cached_property
    def place_of(self) -> dict[str, int]:
        """The place of each item in the catalogue."""
        return {item_id: place for place, item_id in enumerate(self.item_ids)}

    @cached_property
    def id_N(self) -> NDArray[np.object_]:
        """[N]: the same as an array."""
        return np.array(self.item_ids, np.object_)

    def places(self, item_ids: Sequence[str]) -> Ints:
        """[N]: the places of these items, -1 where they are in no catalogue."""
        return np.fromiter(map(self.place_of.get, item_ids, repeat(-1)), np.int64, len(item_ids))


NOTHING: Final = Negatives(per_positive=0, popularity=0.0)


class Draws:
    """The draws of one partition. Every event must be counted before what comes after is drawn."""

    def __init__(self, partition: int, negatives: Negatives, window: int) -> None:
        self._partition, self._negatives, self._remembered = partition, negatives, window
        self._bits = min(RECOUNT_BITS, max((window // 4).bit_length() - 1, 0))
        self._counted: deque[tuple[int, str]] = deque()  # offsets and items, not in the past yet
        self._past = _Past(window - (1 << self._bits))
        self._popularity: _Popularity | None = None

    def count(self, valid: Iterable[tuple[Record, Event]]) -> None:
        """Take in the positives of these events; of copies too, as what they are copies of may lie
        before a restart."""
        if not self._negatives.per_positive:
            return
        while self._is_too_old():  # as long as nothing is drawn
            self._counted.popleft()
        for record, event in valid:
            if type(event) is ClickEvent:  # the usual case, without another call
                self._counted.append((record.offset, event.item_id))
            else:
                self._counted += [(record.offset, item_id) for item_id in positives(event)]

    def draw(self, requests: Iterable[SampleRequest]) -> None:
        """Give those of these requests that are positives without an impression their items, in the
        order of the log. One stays as it is where there is nothing to draw: no other item, or its
        own is in no catalogue."""
        alone = [one for one in requests if one.chosen]
        if not alone or not self._negatives.per_positive:
            return
        place_D = self._negatives.places([one.item_ids[0] for one in alone])
        offset_D = np.array([one.record.offset for one in alone], np.int64)
        bits_D = (np.frexp(offset_D.astype(np.float64))[1] - 4).clip(0, self._bits)
        start_D = offset_D >> bits_D << bits_D
        for start in np.unique(start_D[place_D >= 0]).tolist():
            of_K = np.flatnonzero((start_D == start) & (place_D >= 0))
            popularity = self._popularity_before(start)
            place_KX = popularity.others(self._partition, offset_D[of_K], place_D[of_K])
            log_q_KX = popularity.log_q(place_KX)
            self._give([alone[number] for number in of_K.tolist()], place_KX, log_q_KX)

    def follow(self, negatives: Negatives) -> None:
        """Draw by these rules from now on, of another catalogue."""
        before, self._negatives, self._popularity = self._negatives, negatives, None
        if self._past.is_used:
            self._past.move(self._negatives.places(before.item_ids))

    def _give(
        self, requests: Sequence[SampleRequest], place_DX: Ints, log_q_DX: NDArray[np.float32]
    ) -> None:
        item_DX, num_D = self._negatives.id_N[place_DX].tolist(), (place_DX >= 0).sum(1).tolist()
        log_q, width = log_q_DX.tobytes(), log_q_DX.itemsize * log_q_DX.shape[1]
        for row, (request, num) in enumerate(zip(requests, num_D, strict=True)):
            if num > 1:
                request.item_ids = tuple(item_DX[row][:num])
                request.log_q = log_q[row * width : row * width + log_q_DX.itemsize * num]
                request.labelled = request.chosen

    def _popularity_before(self, start: int) -> _Popularity:
        """The popularity of items by the positives of the window that ends before this offset."""
        if self._popularity is None or start != self._past.end:
            offsets, item_ids = zip(*self._counted, strict=True) if self._counted else ((), ())
            self._counted.clear()
            self._past.add(np.array(offsets, np.int64), self._negatives.places(item_ids))
            count_N = self._past.counts_before(start, len(self._negatives.item_ids))
            self._popularity = _Popularity.of(count_N, self._negatives)
        return self._popularity

    def _is_too_old(self) -> bool:
        """Whether the oldest positive is in no window of what comes from now on."""
        if not self._counted:
            return False
        return self._counted[0][0] <= self._counted[-1][0] - self._remembered


class _Past:
    """Positives by offset, and how many of each item lie in a window that only moves on.

    W positives that are kept, those of the window first
    """

    def __init__(self, window: int) -> None:
        self.end = 0  # of the window: the first offset after it
        self._window = window
        self._offset_W, self._place_W = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self._num_inside = 0
        self._count_N = np.zeros(0, np.int32)

    @property
    def is_used(self) -> bool:
        """Whether it knows of any positive."""
        return len(self._place_W) > 0

    def move(self, place_N: Ints) -> None:
        """Take in that the items have these places now; -1: it is none any more."""
        place_W = place_N[self._place_W]
        self._offset_W, self._place_W = self._offset_W[place_W >= 0], place_W[place_W >= 0]
        self._num_inside, self._count_N = 0, np.zeros(0, np.int32)

    def add(self, offset_K: Ints, place_K: Ints) -> None:
        """Take in what comes after all before; of items that have a place."""
        self._offset_W = np.concatenate([self._offset_W, offset_K[place_K >= 0]])
        self._place_W = np.concatenate([self._place_W, place_K[place_K >= 0]])

    def counts_before(self, end: int, num_items: int) -> NDArray[np.int32]:
        """[N]: the positives of each item in the window that ends there."""
        if len(self._count_N) != num_items:
            self._count_N = np.zeros(num_items, np.int32)
        gone, inside = np.searchsorted(self._offset_W, [end - self._window, end]).tolist()
        np.add.at(self._count_N, self._place_W[self._num_inside : inside], 1)
        np.subtract.at(self._count_N, self._place_W[:gone], 1)
        self._offset_W, self._place_W = self._offset_W[gone:], self._place_W[gone:]
        self._num_inside, self.end = inside - gone, end
        return self._count_N


def chosen_as(event: Event) -> int:
    """The wishes that an event tells of an item by itself, as bits: the item was chosen, whatever
    was done with it. None of an impression, and of what is taken back."""
    if isinstance(event, ImpressionEvent):
        return 0
    if isinstance(event, ClickEvent):
        return BIT[CLICK]
    if event.takes_back:
        return 0
    return BIT[CLICK] | BIT[event.action] if event.action in WISHES else 0


def positives(event: Event) -> list[str]:
    """The items that somebody chose, as this event says."""
    if isinstance(event, ImpressionEvent):
        return [shown.item_id for shown in event.items if shown.clicked]
    return [event.item_id] if chosen_as(event) else []


@dataclass(frozen=True, slots=True)
class _Popularity:
    """How probable each item of a catalogue is: a share that is the same for all of them, and what
    those of positives have beside it. In whole numbers, of which `total` are drawn from."""

    rules: Negatives
    place_V: Ints  # ascending
    end_V: Ints  # of each item's numbers, which come after the even share's
    even: int
    total: int

    @classmethod
    def of(cls, count_N: NDArray[np.int32], rules: Negatives) -> _Popularity:
        place_V = np.flatnonzero(count_N)
        count_V = count_N[place_V]
        weight_V = np.rint(UNIT * ((1.0 + count_V) ** rules.popularity - 1)).astype(np.int64)
        own, even = int(weight_V.sum()), UNIT * len(rules.item_ids)
        even = min(own, even) if own else even
        return cls(rules, place_V, even + np.cumsum(weight_V), even, own + even)

    def others(self, partition: int, offset_D: Ints, chosen_D: Ints) -> Ints:
        """[D, X]: what was chosen, and the first distinct others that are drawn; -1 where there are
        fewer."""
        num_items = len(self.rules.item_ids)
        num, tries = min(self.rules.per_positive, num_items - 1), 2 * self.rules.per_positive
        place_DX = np.full((len(offset_D), 1 + self.rules.per_positive), -1, np.int64)
        place_DX[:, 0] = chosen_D
        left_D = np.arange(len(offset_D))
        while num > 0 and len(left_D) and tries <= MAX_TRIES:
            random_DT = random_numbers(partition, offset_D[left_D], tries)
            found_DT = np.column_stack([chosen_D[left_D], self._places(random_DT)])
            place_DX[left_D] = _first_distinct(found_DT, place_DX.shape[1])
            left_D, tries = left_D[place_DX[left_D, num] < 0], 4 * tries
        return place_DX

    def log_q(self, place_DX: Ints) -> NDArray[np.float32]:
        """The logarithm of each place's probability."""
        weight_DX = np.full(place_DX.shape, self.even / max(len(self.rules.item_ids), 1))
        if len(self.place_V):
            at_DX = np.searchsorted(self.place_V, place_DX).clip(max=len(self.place_V) - 1)
            own_V = np.diff(self.end_V, prepend=self.even)
            weight_DX += np.where(self.place_V[at_DX] == place_DX, own_V[at_DX], 0)
        log_q_DX: NDArray[np.float32] = np.log(weight_DX / max(self.total, 1)).astype(np.float32)
        return log_q_DX

    def _places(self, random_DT: Bits) -> Ints:
        number_DT = (random_DT % np.uint64(self.total)).astype(np.int64)
        even_DT = number_DT * len(self.rules.item_ids) // max(self.even, 1)
        if not len(self.place_V):
            return even_DT
        own_DT = self.place_V[
            np.searchsorted(self.end_V, number_DT, "right").clip(max=len(self.place_V) - 1)
        ]
        return np.where(number_DT < self.even, even_DT, own_DT)


def random_numbers(partition: int, offset_D: Ints, num: int) -> Bits:
    """[D, num]: 64 random bits each, the same whenever they are asked for (SplitMix64: Steele, Lea
    and Flood, 2014)."""
    seed_1 = _mixed(np.array([partition + 1], np.uint64))
    seed_D = _mixed(seed_1 + offset_D.astype(np.uint64))
    steps_T = np.uint64(0x9E3779B97F4A7C15) * np.arange(1, num + 1, dtype=np.uint64)
    return _mixed(seed_D[:, None] + steps_T)


def _mixed(bits: Bits) -> Bits:
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def _first_distinct(found_DT: Ints, num: int) -> NDArray[Any]:
    """[D, num]: the first different ones of each row, -1 where there are fewer."""
    order_DT = np.argsort(found_DT, axis=1, kind="stable")
    sorted_DT = np.take_along_axis(found_DT, order_DT, 1)
    is_new_DT = np.diff(sorted_DT, axis=1, prepend=-1) != 0
    np.put_along_axis(first_DT := np.empty_like(is_new_DT), order_DT, is_new_DT, 1)
    place_DT = np.cumsum(first_DT, axis=1) - 1
    row_K, column_K = np.nonzero(first_DT & (place_DT < num))
    distinct_DX = np.full((len(found_DT), num), -1, np.int64)
    distinct_DX[row_K, place_DT[row_K, column_K]] = found_DT[row_K, column_K]
    return distinct_DX
