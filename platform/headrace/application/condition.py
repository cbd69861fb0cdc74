"""Conditions: boolean rules over the attributes of an item, as files and requests write them.

    {category: [wine, beer]}                        it has one of these categories
    {brand: acme, price: {below: 20}}               all of these hold
    {any: [{stock: {at_least: 5}}, {not: {surface: home}}]}

A key is `any`, `all`, `not`, `category`, `item`, `surface`, a number (`price` in units of its
currency, `stock`, `min_age`, those that are declared), or else the name of an attribute. A number
that an item does not have is in no range.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from headrace.application.document import shown
from headrace.application.reading import unknown

CATEGORY: Final = "category"
NUMBERS: Final = ("price", "stock", "min_age")  # that every item may have
BOUNDS: Final = ("at_least", "above", "at_most", "below")
MEANT: Final = {  # what a key is likely to be meant for
    "categories": CATEGORY, "items": "item", "item_id": "item", "surfaces": "surface",
    "and": "all", "or": "any",
}  # fmt: skip
MAX_DEPTH: Final = 8
MAX_TESTS: Final = 32  # of a request's condition, and so many values
MAX_VALUES: Final = 1_000


@dataclass(frozen=True, slots=True)
class HasWord:
    """One of these categories, or one of these "name=value" attributes."""

    field: str  # "categories" or "attributes"
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IsItem:
    """One of these items."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OnSurface:
    """A request on one of these surfaces, whatever the item."""

    surfaces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InRange:
    """A number of the item within all four bounds."""

    number: str
    at_least: float = -math.inf
    above: float = -math.inf
    at_most: float = math.inf
    below: float = math.inf


@dataclass(frozen=True, slots=True)
class Every:
    """All of these conditions."""

    of: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """One of these conditions, or more."""

    of: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of a condition."""

    of: Condition


Condition = HasWord | IsItem | OnSurface | InRange | Every | Either | Not
NOTHING: Final = Every(())


@dataclass(slots=True)
class Reader:
    """Reads conditions, and collects their problems, each with its path.

    `numbers` are the attributes that are declared as numbers; `max_tests` and `max_values` bound a
    condition that a request brings.
    """

    numbers: Collection[str] = ()
    max_tests: float = math.inf
    max_values: float = math.inf
    problems: list[tuple[str, str]] = field(default_factory=list)
    num_tests: int = 0
    num_values: int = 0

    def condition(self, given: object, path: str, depth: int = 1) -> Condition:
        """The condition at a path, and one that always holds for a wrong one."""
        if not isinstance(given, dict) or not given:
            example = "such as {category: wine}"
            return self._wrong(path, f"got {shown(given)}, expected a condition {example}")
        if len(given) > self.max_tests:
            told = f"got {len(given)} conditions, expected {self.max_tests} at most"
            return self._wrong(path, told)
        if depth > MAX_DEPTH:
            return self._wrong(path, f"got more than {MAX_DEPTH} conditions in each other")
        every = tuple(self._part(key, value, path, depth) for key, value in given.items())
        return every[0] if len(every) == 1 else Every(every)

    def _part(self, key: Any, value: object, path: str, depth: int) -> Condition:
        path = f"{path}.{key}"
        if not isinstance(key, str) or not key or "=" in key:
            return self._wrong(path, "expected the name of an attribute, or a key of conditions")
        if key in MEANT:
            return self._wrong(path, f"unknown key (did you mean {MEANT[key]}?)")
        if key == "not":
            return Not(self.condition(value, path, depth + 1))
        if key in ("any", "all"):
            return self._several(key, value, path, depth)
        self.num_tests += 1
        if self.num_tests > self.max_tests:
            return self._wrong(path, f"one condition too many, expected {self.max_tests} at most")
        if key in NUMBERS or key in self.numbers:
            return self._range(key, value, path)
        words = tuple(self._words(value, path))
        if key in ("item", "surface"):
            return IsItem(words) if key == "item" else OnSurface(words)
        if key == CATEGORY:
            return HasWord("categories", words)
        return HasWord("attributes", tuple(f"{key}={word}" if word else key for word in words))

    def _several(self, key: str, value: object, path: str, depth: int) -> Condition:
        if not isinstance(value, list) or not value:
            return self._wrong(path, f"got {shown(value)}, expected a list of conditions")
        if len(value) > self.max_tests:
            told = f"got {len(value)} conditions, expected {self.max_tests} at most"
            return self._wrong(path, told)
        conditions = (
            self.condition(one, f"{path}[{place}]", depth + 1) for place, one in enumerate(value)
        )
        return (Either if key == "any" else Every)(tuple(conditions))

    def _words(self, value: object, path: str) -> Iterator[str]:
        values = value if isinstance(value, list) else [value]
        self.num_values += len(values)
        if self.num_values > self.max_values:
            self._wrong(path, f"got {self.num_values} values, expected {self.max_values} at most")
            return
        elif isinstance(value, dict):
            known = ", ".join((*NUMBERS, *self.numbers))
            told = f"got {shown(value)}, expected a value or a list of them; numbers are {known}"
            self._wrong(path, told)
        elif not values:
            self._wrong(path, "got an empty list, expected a value or a list of them")
        for one in values:
            if not isinstance(one, str | int | float):
                if not isinstance(one, dict):
                    self._wrong(path, f"got {shown(one)}, expected text, a number or true or false")
                continue
            yield value_text(one)

    def _range(self, name: str, value: object, path: str) -> Condition:
        if _is_number(value):
            return InRange(name, at_least=value, at_most=value)  # type: ignore[arg-type]
        if not isinstance(value, dict) or not value:
            bounds = ", ".join(BOUNDS)
            return self._wrong(path, f"got {shown(value)}, expected a number, or one of {bounds}")
        for bound, number in value.items():
            if bound not in BOUNDS:
                self.problems.append((path, unknown(bound, BOUNDS)))
            elif not _is_number(number):
                self._wrong(f"{path}.{bound}", f"got {shown(number)}, expected a number")
        found = {bound: float(number) for bound, number in value.items() if _is_number(number)}
        return InRange(name, **{bound: found[bound] for bound in BOUNDS if bound in found})

    def _wrong(self, path: str, told: str) -> Condition:
        self.problems.append((path, told))
        return NOTHING


def value_text(value: str | int | float) -> str:
    """A value of an attribute as the text of its word."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
