"""The section `rerank`: rules over the ranked list; and `weights`: what a request may weigh.

rerank:
  boosts: [{where: {category: tea}, factor: 1.5}]
  diversity: {method: mmr, strength: 0.3, by: content, among: 50}
  caps: {category: 3, brand: 1, strict: true}
  pins: [{item: A-17, position: 0, surfaces: [home]}]
weights: {click: [0, 2], value: [0, 1]}
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

import msgspec

from headrace.application.condition import NUMBERS, Condition, Reader
from headrace.application.document import shown
from headrace.application.reading import keys_of, unknown

MAX_AMONG: Final = 200  # candidates that are compared with each other
MAX_RULES: Final = 100  # boosts, and pins
MAX_CAPS: Final = 8
MAX_POSITION: Final = 99
VALUE: Final = "value"  # what an item is expected to earn: probability x price
STRICT: Final = "strict"

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Among = Annotated[int, msgspec.Meta(ge=2, le=MAX_AMONG)]
Factor = Annotated[float, msgspec.Meta(gt=0, le=100)]
Position = Annotated[int, msgspec.Meta(ge=0, le=MAX_POSITION)]
Cap = Annotated[int, msgspec.Meta(ge=1)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Bounds = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Boost:
    """A factor of the scores of items for which a condition holds."""

    where: Condition
    factor: float


@dataclass(frozen=True, slots=True)
class Diversity:
    """How much of the best candidates are to differ: 0 is by score alone, 1 by difference alone."""

    method: str = "mmr"  # or "dpp"
    strength: float = 0.3
    by: str = "content"  # vectors of the ranker, or "factors", or "categories"
    among: int = 50  # the best candidates


@dataclass(frozen=True, slots=True)
class Caps:
    """How many items of one category, or of one value of an attribute, a slate has at most."""

    most: Mapping[str, int] = field(default_factory=dict)  # by "category" or attribute
    strict: bool = False  # else what is over a cap comes back where a slate would be short


@dataclass(frozen=True, slots=True)
class Pin:
    """An item that stands at a position, on these surfaces or on all."""

    item: str
    position: int
    surfaces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reranking:
    """The rules over the ranked list, in the order in which they are applied."""

    boosts: tuple[Boost, ...] = ()
    diversity: Diversity | None = None
    caps: Caps | None = None
    pins: tuple[Pin, ...] = ()


def read_reranking(section: object, numbers: Collection[str], problems: list[str]) -> Reranking:
    """The rules of the section `rerank`; adds what is wrong."""
    kinds = {"boosts": list[Any], "diversity": dict[str, Any], "caps": Any, "pins": list[Any]}
    found = keys_of(kinds, section, "rerank", problems)
    return Reranking(
        boosts=_boosts(found.get("boosts", ()), numbers, problems),
        diversity=_diversity(found.get("diversity"), problems),
        caps=_caps(found.get("caps"), problems),
        pins=_pins(found.get("pins", ()), problems),
    )


def read_weights(
    section: object, heads: Collection[str], problems: list[str]
) -> Mapping[str, Bounds]:
    """The least and the greatest weight of each head that a request may tell."""
    found = keys_of(dict.fromkeys(heads, Bounds), section, "weights", problems)
    problems += [
        f"weights.{name}: got {list(bounds)}, expected the least and then the greatest weight"
        for name, bounds in found.items()
        if not bounds[0] <= bounds[1]
    ]
    return found


def _boosts(
    rows: Collection[Any], numbers: Collection[str], problems: list[str]
) -> tuple[Boost, ...]:
    _few("boosts", rows, problems)
    reader, boosts = Reader(numbers), []
    for place, row in enumerate(rows):
        path = f"rerank.boosts[{place}]"
        found = keys_of({"where": Any, "factor": Factor}, row, path, problems)
        condition = reader.condition(found.get("where"), f"{path}.where")
        if "factor" not in found and isinstance(row, dict) and "factor" not in row:
            problems.append(f"{path}.factor: missing, expected a number such as 1.5")
        boosts.append(Boost(condition, found.get("factor", 1.0)))
    problems += [f"{path}: {told}" for path, told in reader.problems]
    return tuple(boosts)


def _diversity(section: dict[str, Any] | None, problems: list[str]) -> Diversity | None:
    if section is None:
        return None
    kinds = {
        "method": Literal["mmr", "dpp"],
        "strength": Share,
        "by": Literal["content", "factors", "categories"],
        "among": Among,
    }
    return Diversity(**keys_of(kinds, section, "rerank.diversity", problems))


def _caps(section: object, problems: list[str]) -> Caps | None:
    if section is None:
        return None
    if not isinstance(section, dict) or not section:
        example = "{category: 3, brand: 1}"
        problems.append(f"rerank.caps: got {shown(section)}, expected caps such as {example}")
        return None
    names = [name for name in section if name != STRICT]
    for name in names:
        if not isinstance(name, str) or not name or "=" in name or name in NUMBERS:
            told = "expected category or the name of an attribute that is a word"
            problems.append(f"rerank.caps: got the name {shown(name)}, {told}")
        if name == "categories":
            problems.append(f"rerank.caps: {unknown(name, ['category'])}")
    if len(names) > MAX_CAPS or not names:
        problems.append(f"rerank.caps: got {len(names)} of them, expected 1 to {MAX_CAPS}")
    kinds = {**dict.fromkeys(names, Cap), STRICT: bool}
    found = keys_of(kinds, section, "rerank.caps", problems)
    strict = found.pop(STRICT, False)
    return Caps(found, strict)


def _pins(rows: Collection[Any], problems: list[str]) -> tuple[Pin, ...]:
    _few("pins", rows, problems)
    kinds = {"item": Text, "position": Position, "surfaces": tuple[Text, ...]}
    pins: list[Pin] = []
    for place, row in enumerate(rows):
        path = f"rerank.pins[{place}]"
        found = keys_of(kinds, row, path, problems)
        for key in ("item", "position"):
            if isinstance(row, dict) and row.get(key) is None:
                problems.append(f"{path}.{key}: missing")
        pin = Pin(found.get("item", ""), found.get("position", 0), found.get("surfaces", ()))
        for other, earlier in enumerate(pins):
            both = set(pin.surfaces) & set(earlier.surfaces)
            if not (pin.surfaces and earlier.surfaces) or both:
                if pin.position == earlier.position or pin.item == earlier.item:
                    told = "the position or the item of"
                    problems.append(f"{path}: {told} rerank.pins[{other}], on the same surface")
        pins.append(pin)
    return tuple(pins)


def _few(name: str, rows: Collection[Any], problems: list[str]) -> None:
    if len(rows) > MAX_RULES:
        problems.append(f"rerank.{name}: got {len(rows)} of them, expected at most {MAX_RULES}")
