"""The sections `filters` and `blocked`: conditions that an item has to meet, and lists of items
that are shown to nobody.

    filters: {in_season: {not: {category: skis}}, cheap: {price: {below: 20}}}
    blocked: {item: [A-17], category: [weapons], brand: [acme]}
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from headrace.application.action import NAME
from headrace.application.condition import Condition, Either, Reader
from headrace.application.document import shown

MAX_FILTERS: Final = 32
REASONS: Final = (  # of removed candidates that are not declared
    *("out_of_stock", "not_available", "age", "blocked", "filtered", "hidden", "excluded", "seen"),
    *("over_quota", "over_cap", "outranked"),
)


def read_filters(
    section: object, numbers: Collection[str], problems: list[str]
) -> Mapping[str, Condition]:
    """The conditions of the section `filters` by name, of which all have to hold."""
    if section is None:
        return {}
    if not isinstance(section, dict):
        problems.append(f"filters: got {shown(section)}, expected conditions by name")
        return {}
    if len(section) > MAX_FILTERS:
        problems.append(f"filters: got {len(section)} of them, expected at most {MAX_FILTERS}")
    reader, found = Reader(numbers), {}
    for name, given in section.items():
        if not isinstance(name, str) or not NAME.fullmatch(name) or name in REASONS:
            no = ", ".join(REASONS)
            told = f"expected small letters, digits and _, but not {no}"
            problems.append(f"filters: got the name {shown(name)}, {told}")
            continue
        found[name] = reader.condition(given, f"filters.{name}")
    problems += [f"{path}: {told}" for path, told in reader.problems]
    return found


def read_blocked(
    section: object, numbers: Collection[str], problems: list[str]
) -> Condition | None:
    """The items that nobody is shown: those for which one of the lists holds."""
    if section is None:
        return None
    if not isinstance(section, dict) or not section:
        example = "{item: [A-17], category: [weapons], brand: [acme]}"
        problems.append(f"blocked: got {shown(section)}, expected lists such as {example}")
        return None
    reader = Reader(numbers)
    lists = [reader.condition({name: values}, "blocked") for name, values in section.items()]
    problems += [f"{path}: {told}" for path, told in reader.problems]
    return Either(tuple(lists))
