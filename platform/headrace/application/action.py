"""Actions: kinds of outcomes of an impression. The fields of a row, its rules, and built-in rows.

Rows make a table; `headrace.action` has that of this process, and what follows from it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from headrace.errors import ConfigError

CLICK: Final = "click"
MAX_ACTIONS: Final = 8  # an outcome has a byte for them
NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
NOT_NAMES: Final = ("shown", "value", "amount")  # facts measure these beside the actions
FIELDS: Final = ("clicked", "liked", "long_viewed")  # of an impression's item; see `Action.field`
MONEY: Final = "money"
GRADE: Final = "grade"
VALUES: Final = ("", MONEY, GRADE)
FOR_EVER: Final = math.inf


@dataclass(frozen=True, slots=True)
class Action:
    """A kind of outcome: how it is told, whether it is wished for, and how it is predicted."""

    name: str
    field: str = ""  # of an impression's item, where it is told; others are keys of its `outcomes`
    wish: bool = True  # or an aversion: whatever else came, the outcome's grade is 0 then
    predicted: bool = True  # by a head of the ranker, where HEADRACE_HEADS does not choose others
    features: bool = True  # whether features are made of it, and the ranker's histories tell it
    after: str = ""  # "click": its head says how probable it is given a click
    window_s: float | None = None  # of attribution; None: HEADRACE_CLICK_WINDOW_S
    value: str = ""  # what its events may carry: "money", or a "grade", how much it was liked
    hides_s: float = 0.0  # how long its user is not shown the item again; `FOR_EVER`
    strength: int = 0  # an aversion is stronger than a wish; else the greater, else the later row
    prior: float = 0.05  # its share of impressions, as features assume before there are any

    @property
    def words(self) -> str:
        """The name in a sentence, of several: "long views"."""
        return f"{self.name.replace('_', ' ')}s"

    @property
    def is_rare(self) -> bool:
        """Whether a rate needs twice the impressions to say something."""
        return self.prior < 0.1


def table(*rows: Action) -> tuple[Action, ...]:
    """The rows in order; raises `ConfigError` with everything that is wrong with them."""
    if problems := problems_of(rows):
        raise ConfigError("; ".join(problems))
    return rows


def problems_of(rows: Sequence[Action]) -> list[str]:
    """Everything that is wrong with these rows as a table."""
    of_each = [
        f"actions.{problem}" if problem.startswith(f"{row.name}: ") else f"actions: {problem}"
        for row in rows
        for problem in _of_one(row)
    ]
    return [*(f"actions: {problem}" for problem in _of_all(rows)), *of_each]


def _of_all(rows: Sequence[Action]) -> Iterator[str]:
    names = [row.name for row in rows]
    if len(names) > MAX_ACTIONS:
        left = ", ".join(names[MAX_ACTIONS:])
        yield f"{len(names)} of them, at most {MAX_ACTIONS} fit into an outcome: leave out {left}"
    if names[:1] != [CLICK]:
        yield f"{', '.join(names) or 'none'}: expected {CLICK} to be the first"
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        yield f"{name} is there {names.count(name)} times: name each once"
    fields = [row.field for row in rows if row.field]
    for field in dict.fromkeys(field for field in fields if fields.count(field) > 1):
        yield f"field {field} tells {fields.count(field)} of them: give each its own, or none"


def _of_one(row: Action) -> Iterator[str]:
    if not NAME.fullmatch(row.name) or row.name in NOT_NAMES:
        no = " or ".join(NOT_NAMES)
        yield f"name {row.name!r}: expected small letters, digits and _, but not {no}"
    if row.field and row.field not in FIELDS:
        yield f"{row.name}: field {row.field!r}: expected one of {', '.join(FIELDS)}, or none"
    if row.after not in ("", CLICK) or row.name == row.after:
        yield f"{row.name}: after {row.after!r}: only other actions are predicted after {CLICK}"
    if row.window_s is not None and not 0 < row.window_s < math.inf:
        yield f"{row.name}: window_s {row.window_s}: expected seconds above 0, or None"
    if row.value not in VALUES:
        yield f"{row.name}: value {row.value!r}: expected {MONEY}, {GRADE}, or none"
    if not row.hides_s >= 0:
        yield f"{row.name}: hides_s {row.hides_s}: expected seconds, at least 0"
    if not 0 < row.prior < 1:
        yield f"{row.name}: prior {row.prior}: expected a share between 0 and 1"
    if row.name == CLICK and (
        row.field != FIELDS[0] or not (row.wish and row.predicted and row.features)
    ):
        yield f"{CLICK}: expected a wish with features, predicted, told by the field {FIELDS[0]}"
    if row.name == CLICK and row.value:
        yield f"{CLICK}: its events carry no value"


# Rows as they are where an application declares them by their name alone.
BUILT_IN: Final = {
    row.name: row
    for row in (
        Action(CLICK, field="clicked", strength=1, prior=0.5),
        Action("like", field="liked", value=GRADE, strength=3, prior=0.02),
        Action("long_view", field="long_viewed", value=GRADE, strength=2, prior=0.3),
        Action("add_to_cart", strength=5, prior=0.05),
        Action("purchase", after=CLICK, value=MONEY, strength=6, prior=0.02),
        Action("share", strength=4, prior=0.01),
        Action("hide", wish=False, hides_s=FOR_EVER, strength=7, prior=0.01),
        Action("report", wish=False, hides_s=FOR_EVER, strength=8, prior=0.002),
    )
}


def told_only(name: str) -> Action:
    """A built-in row whose events are taken, without features and a head of its own."""
    return replace(BUILT_IN[name], features=False, predicted=False)


DEFAULT_TABLE: Final = table(
    *(BUILT_IN[name] for name in ("click", "like", "long_view")),
    *map(told_only, ("add_to_cart", "purchase", "share", "hide", "report")),
)
