"""What came of an event: an action column, columns of yes and no, a rating, or the same in all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from headrace.action import CLICK
from headrace.datasets.draft.choice import UNKNOWN, Choice, Section, column_reason
from headrace.datasets.draft.files import values_of
from headrace.datasets.draft.words import BUYS, LIKELY, SHOWN, deed, fit, is_id
from headrace.datasets.table.guess import ColumnGuess
from headrace.datasets.table.sniff import FileGuess

MAX_KINDS: Final = 30  # different values of an action column
SURE: Final = frozenset((SHOWN, *LIKELY))  # one of them at least is in a column of actions
GOOD: Final = 0.8  # of the best rating
DIGIT: Final = re.compile(r"\d")  # in ids, and in no name of an action
CODE: Final = re.compile(r"\b[A-Z]{3}\b")
COINS: Final = {"€": "EUR", "£": "GBP", "$": "USD", "¥": "JPY", "zł": "PLN", "₹": "INR"}


@dataclass(slots=True)
class Outcome:
    """The keys that say what came of a row, the actions in them, and whether rows are shown."""

    section: Section = field(default_factory=dict)
    actions: tuple[str, ...] = ()
    tells_impressions: bool = False


def outcome_of(file: FileGuess, free: Sequence[ColumnGuess]) -> Outcome:
    """The outcome of the rows of a file, by those of its columns that have no meaning yet."""
    for found in (_by_kind, _by_yes_and_no, _by_rating, _always):
        outcome = found(file, free)
        if outcome is not None:
            break
    else:
        outcome = _asked(file)
    if BUYS in outcome.actions and (money := _money(free)):
        outcome.section["money"] = money
    return outcome


def _by_kind(file: FileGuess, free: Sequence[ColumnGuess]) -> Outcome | None:
    """A column whose values are names of actions."""
    columns = [
        one for one in free if one.kind in ("text", "boolean") and 0 < one.num_distinct <= MAX_KINDS
    ]
    for column in sorted(columns, key=lambda one: -fit(one.name, "action")):
        values = values_of(file, column.name) if file.column(column.name) else list(column.samples)
        means = {value: None if DIGIT.search(value) else deed(value) for value in values}
        known = [one for one in means.values() if one is not None]
        is_named = fit(column.name, "action") or not SURE.isdisjoint(known)
        if 2 * len(known) <= len(means) or column.kind == "boolean" or not is_named:
            continue
        told = {value: UNKNOWN if one is None else one or None for value, one in means.items()}
        choice = Choice(
            {"column": column.name, "values": told},
            "its values look like actions; a view of an item's own page is a click",
        )
        unknown = [value for value, one in told.items() if one == UNKNOWN]
        if unknown:
            question = f"what do the values {', '.join(unknown)} mean? (null: nothing)"
            choice = Choice(choice.value, choice.why, question)
        actions = tuple(dict.fromkeys(one for one in known if one and one != SHOWN))
        return Outcome({"action": choice}, actions, SHOWN in known)
    return None


def _by_yes_and_no(file: FileGuess, free: Sequence[ColumnGuess]) -> Outcome | None:
    """Columns of yes and no: an action each, the click first."""
    columns = {one.name: one for one in free if one.kind == "boolean" and not is_id(one.name)}
    means = {name: deed(name) for name in columns}
    named = {name: one for name, one in means.items() if one and one != SHOWN}
    if not named and len(columns) == 1:
        named = dict.fromkeys(columns, CLICK)  # the only yes or no that there is
    clicked = next((name for name, one in named.items() if one == CLICK), next(iter(named), None))
    if clicked is None:
        return None
    column = columns[clicked]
    if column.num_distinct == 1 and column.samples[0].lower() in ("1", "true", "t", "yes", "y"):
        action = named[clicked]
        why = f"{clicked} is {column.samples[0]} in every row: rows are no impressions"
        return Outcome({"action": Choice({"always": action}, why)}, (action,))
    said = "by its name" if named[clicked] == CLICK and means[clicked] else "counts as the click"
    section = {"clicked": Choice(clicked, column_reason(column, said))}
    others = {one: name for name, one in named.items() if name != clicked and one != CLICK}
    if others:
        section["outcomes"] = Choice(others, "by their names")
    return Outcome(section, (CLICK, *others), tells_impressions=True)


def _by_rating(file: FileGuess, free: Sequence[ColumnGuess]) -> Outcome | None:
    """A number that says how much an item was liked."""
    ratings = [one for one in free if one.kind in ("whole", "number") and fit(one.name, "rating")]
    if not ratings or file.column(ratings[0].name) is None:
        return None
    column = max(ratings, key=lambda one: fit(one.name, "rating"))
    best = max(map(float, values_of(file, column.name)))
    if not best > 0:
        return None
    least = round(GOOD * best, 1)
    why = column_reason(column, f"a rating: {least:g} of {best:g} and more counts as a click")
    return Outcome(
        {
            "clicked": Choice({"column": column.name, "at_least": _plain(least)}, why),
            "value": Choice({"column": column.name, "of": _plain(best)}, "how much it was liked"),
        },
        (CLICK,),
        tells_impressions=True,
    )


def _always(file: FileGuess, free: Sequence[ColumnGuess]) -> Outcome | None:
    """One action in every row, by the name of the file, or as order lines have it."""
    by_name = deed(file.path.name.partition(".")[0])
    if by_name and by_name != SHOWN:
        why = f"{file.path.name} has no column that says what was done; its name does"
        return Outcome({"action": Choice({"always": by_name}, why)}, (by_name,))
    told = [one.name for one in free if _is_of_orders(one)]
    if told:
        why = f"{', '.join(told)}: lines of orders"
        return Outcome({"action": Choice({"always": BUYS}, why)}, (BUYS,))
    return None


def _asked(file: FileGuess) -> Outcome:
    question = f"what does a row of {file.path.name} say that somebody did?"
    return Outcome({"action": Choice({"always": UNKNOWN}, "", question, LIKELY)})


def _is_of_orders(column: ColumnGuess) -> bool:
    if column.kind in ("whole", "number") and (fit(column.name, "quantity") or _is_money(column)):
        return True
    return bool(fit(column.name, "order"))


def _is_money(column: ColumnGuess) -> bool:
    if column.kind not in ("whole", "number"):
        return False
    return bool(fit(column.name, "money")) or _coin(column) is not None


def _coin(column: ColumnGuess) -> str | None:
    """The currency that is written beside the numbers."""
    pattern = (*column.patterns, "")[0]
    code = CODE.search(pattern)
    signs = (currency for sign, currency in COINS.items() if sign in pattern)
    return code[0] if code else next(signs, None)


def _money(free: Sequence[ColumnGuess]) -> Choice | None:
    """What was paid: amount, or price of one and quantity, and the currency, which may be asked."""
    amounts = [one for one in free if _is_money(one)]
    if not amounts:
        return None
    column = max(amounts, key=lambda one: fit(one.name, "money"))
    value: dict[str, Any] = {"column": column.name, **dict(_pattern(column))}
    quantity = next(
        (one for one in free if one.kind == "whole" and fit(one.name, "quantity")), None
    )
    if quantity is not None:
        value["quantity"] = quantity.name
    why = column_reason(column, "what was paid")
    coins = [one for one in free if one.kind == "text" and fit(one.name, "currency")]
    written = _coin(column)
    if coins:
        return Choice({**value, "currency": {"column": coins[0].name}}, why)
    if written:
        return Choice({**value, "currency": written}, why)
    question = f"in which currency is {column.name}?"
    return Choice({**value, "currency": UNKNOWN}, why, question, ("EUR", "USD", "GBP"))


def _pattern(column: ColumnGuess) -> Iterator[tuple[str, str]]:
    if column.patterns:
        yield "pattern", column.patterns[0]


def _plain(number: float) -> float | int:
    return int(number) if number.is_integer() else number
