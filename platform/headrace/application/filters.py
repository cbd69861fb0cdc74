"""The sections `filters`, `blocked` and `locale`: conditions that an item has to meet, lists of
items that are shown to nobody, and attributes that say for whom an item is.

    filters: {in_season: {not: {category: skis}}, cheap: {price: {below: 20}}}
    blocked: {item: [A-17], category: [weapons], brand: [acme]}
    locale: [country]
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from headrace.application.action import NAME
from headrace.application.condition import Condition, Either, Reader
from headrace.application.document import shown

MAX_FILTERS: Final = 32
MAX_LOCALES: Final = 4
REASONS: Final = (  # of removed candidates that are not declared
    *("out_of_stock", "not_available", "age", "locale", "blocked", "filtered", "hidden"),
    *("excluded", "seen", "over_quota", "over_cap", "outranked"),
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


def read_locale(section: object, problems: list[str]) -> tuple[str, ...]:
    """The attributes by which items are meant for some users only, such as a country."""
    if section is None:
        return ()
    names = section if isinstance(section, list) else [section]
    if not 0 < len(names) <= MAX_LOCALES or not all(map(_is_attribute, names)):
        expected = f"expected 1 to {MAX_LOCALES} names of attributes such as country"
        problems.append(f"locale: got {shown(section)}, {expected}")
        return ()
    return tuple(dict.fromkeys(names))


def _is_attribute(name: object) -> bool:
    return isinstance(name, str) and bool(name) and "=" not in name


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
