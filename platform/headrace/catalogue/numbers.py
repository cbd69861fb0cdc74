"""Numbers of items: the attributes that the application file declares as numbers.

N items   A declared attributes
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headrace.catalogue.item import Item
from headrace.event import MICROS
from headrace.events.declared import ATTRIBUTE_LIMITS, ATTRIBUTES

PRICE: Final = "price"  # in units of the currency, where no attribute of this name tells another


def attribute_numbers(items: Sequence[Item]) -> NDArray[np.float64]:
    """[N, A]: the numbers that the items' "name=value" attributes tell; NaN where they tell none,
    and where one is out of the bounds of its declaration."""
    number_NA = np.full((len(items), len(ATTRIBUTES)), np.nan)
    for column, name in enumerate(ATTRIBUTES):
        number_NA[:, column] = [_number(item, name) for item in items]
    number_NA[~(np.abs(number_NA) <= np.array(ATTRIBUTE_LIMITS))] = np.nan
    return number_NA


def words_beside(attributes: Sequence[str]) -> Sequence[str]:
    """The attributes that are words: those that tell no declared number."""
    if not ATTRIBUTES:
        return attributes
    return [one for one in attributes if not any(_is_told(one, name) for name in ATTRIBUTES)]


def _is_told(attribute: str, name: str) -> bool:
    its, _, value = attribute.partition("=")
    return its == name and not math.isnan(_float(value))


def _number(item: Item, name: str) -> float:
    told = (one.partition("=")[2] for one in item.attributes if _is_told(one, name))
    if (value := next(told, None)) is not None:
        return float(value)
    if name == PRICE and item.price_micros is not None:
        return item.price_micros / MICROS
    return math.nan


def _float(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return math.nan
