"""Kinds: the words of features.yaml for accumulators, their views, and aggregators.

A kind has keys of its own, says of which kinds what it reads may be, and makes the object. Keys are
the arguments of the class, durations without their unit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import msgspec

from headrace.application.reading import Duration
from headrace.features.aggregation.accumulators import Decayed, Extremes, Lifetime, Newest, Tiles
from headrace.features.aggregation.aggregators import (
    Greatest,
    History,
    LogNumber,
    LogOf,
    LogSum,
    Mean,
    Number,
    Part,
    Rate,
    SinceLast,
    SlotRates,
    Sum,
    TopKeys,
)
from headrace.features.aggregation.by_word import ByWord
from headrace.features.aggregation.crosses import Here, InCategories, OfGroups, OnSurface
from headrace.features.aggregation.sequence import LastN, Recent, Session
from headrace.features.aggregation.sketches import BySlot, Distinct
from headrace.features.aggregation.top_items import TopItems
from headrace.keys import NUM_CATEGORY_SLOTS

MAX_LENGTH: Final = 256  # of a sequence: the row of a user has 20 bytes for each

Amount = int | float  # as it is written: 1 and 1.0 are two definitions
Measure = Annotated[str, msgspec.Meta(min_length=1)]
Measures = Literal["counted"] | list[Measure]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
NumTiles = Annotated[int, msgspec.Meta(ge=1, le=400)]
Length = Annotated[int, msgspec.Meta(ge=1, le=MAX_LENGTH)]
NumRegisters = Annotated[int, msgspec.Meta(ge=16, le=4096)]
NumSlots = Annotated[int, msgspec.Meta(ge=2, le=256)]
Capacity = Annotated[int, msgspec.Meta(ge=1, le=64)]
Whose = Literal["user", "item", "author", "category"]
Group = Literal["author", "category"]
GROUPS: Final = ("author", "category")
Extreme = Literal["least", "greatest", "latest"]
EXTREMES: Final = ("least", "greatest", "latest")


@dataclass(frozen=True, slots=True)
class Kind:
    """One word: its keys and their types, those that must be there, the kinds that it may read, and
    the function that makes the object of its arguments."""

    make: Callable[..., Any]
    keys: Mapping[str, Any]
    needs: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()


def ms(length: Duration) -> int:
    """A duration in milliseconds."""
    return round(1_000 * length)


def _tiles(tile: Duration, num_tiles: int, **measures: Any) -> Tiles:
    return Tiles(ms(tile), num_tiles, **measures)


def _decayed(half_life: Duration, **measures: Any) -> Decayed:
    return Decayed(ms(half_life), **measures)


def _session(of: LastN, pause: Duration | None = None) -> Session:
    return Session(of) if pause is None else Session(of, ms(pause))


def _since_last(over: Newest, if_never: Duration | None = None) -> SinceLast:
    return SinceLast(over) if if_never is None else SinceLast(over, float(if_never))


def _here(of: ByWord, whose: str) -> Here | OfGroups:
    return OfGroups(of, whose) if whose in GROUPS else Here(of, whose)


# What is kept of an entity's facts, and views of that.
ACCUMULATORS: Final = {
    "lifetime": Kind(Lifetime, {"measures": Measures}),
    "tiles": Kind(
        _tiles,
        {"tile": Duration, "num_tiles": NumTiles, "measures": Measures},
        ("tile", "num_tiles"),
    ),
    "decayed": Kind(_decayed, {"half_life": Duration, "measures": Measures}, ("half_life",)),
    "newest": Kind(Newest, {"measure": Measure}),
    "extremes": Kind(Extremes, {"measure": Measure}),
    "distinct": Kind(Distinct, {"num_registers": NumRegisters}),
    "top_items": Kind(TopItems, {"capacity": Capacity, "measure": Measure}),
    "by_slot": Kind(lambda **keys: BySlot(NUM_CATEGORY_SLOTS, **keys), {"measures": Measures}),
    "by_word": Kind(
        ByWord, {"field": Measure, "num_slots": NumSlots, "measures": Measures}, ("field",)
    ),
    "last_n": Kind(LastN, {"length": Length}, ("length",)),
    "recent": Kind(Recent, {"num": Length}, ("num",), ("last_n",)),
    "session": Kind(_session, {"pause": Duration}, (), ("last_n",)),
    "on_surface": Kind(
        lambda of, num: OnSurface(Recent(of, num)), {"num": Length}, ("num",), ("last_n",)
    ),
    "here": Kind(_here, {"whose": Whose}, ("whose",), ("by_word",)),
    "of_groups": Kind(
        OfGroups, {"groups": Group}, ("groups",), ("lifetime", "tiles", "decayed", "by_word")
    ),
    "in_categories": Kind(
        lambda of, **keys: InCategories(SlotRates(of, **keys)),
        {"measure": Measure, "strength": Amount},
        (),
        ("by_slot",),
    ),
}
DECLARED: Final = ("context", "attribute")  # numbers by the names `context.NAME`, `attribute.NAME`
# They read a request.
OF_CROSSES: Final = ("on_surface", "in_categories", "here", "of_groups", *DECLARED)
COUNTING: Final = ("recent", "session", "on_surface")  # sums of what is counted, whatever it is
SUMS: Final = ("lifetime", "tiles", "decayed", "here", "of_groups", *COUNTING)

_SUM: Final = {"measure": Measure}
AGGREGATORS: Final = {
    "sum": Kind(Sum, _SUM, ("measure",), SUMS),
    "log_sum": Kind(LogSum, _SUM, ("measure",), SUMS),
    "rate": Kind(Rate, {**_SUM, "prior": Amount, "strength": Amount}, ("measure",), SUMS),
    "since_last": Kind(_since_last, {"if_never": Duration}, (), ("newest",)),
    "part": Kind(
        lambda over, part: Part(over, EXTREMES.index(part)),
        {"part": Extreme},
        ("part",),
        ("extremes",),
    ),
    "log_of": Kind(LogOf, {}, (), ("distinct",)),
    "slot_rates": Kind(SlotRates, {**_SUM, "strength": Amount}, (), ("by_slot",)),
    "history": Kind(History, {}, (), ("last_n",)),
    "top_keys": Kind(TopKeys, {"num": Capacity}, (), ("top_items",)),
    "number": Kind(Number, {"if_missing": Amount}, (), DECLARED),
    "log_number": Kind(LogNumber, {"if_missing": Amount}, (), DECLARED),
    "mean": Kind(Mean, {}, (), ("in_categories",)),
    "greatest": Kind(Greatest, {}, (), ("in_categories",)),
}


def shape_of(aggregator: Any) -> tuple[int, ...]:
    """The shape of a feature's value; () of a number."""
    match aggregator:
        case SlotRates(over=BySlot(num_slots=num_slots)):
            return (num_slots,)
        case History(over=last):
            return (4, last.length)
        case TopKeys(num=num):
            return (num,)
    return ()
