"""The table of actions: kinds of outcomes of an impression, a row each, read by everything else.

Events, facts, the join, labels, the ranker's heads, the bits of outcomes and histories, default
features and loaders follow from the rows; adding an action is adding a row. Bit b of an action mask
is the b-th row, so rows are added at the end.
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
    problems = [*_of_all(rows), *(problem for row in rows for problem in _of_one(row))]
    if problems:
        raise ConfigError(f"actions: {'; '.join(problems)}")
    return rows


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


# Rows as they are where a deployment declares them by their name alone.
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
TABLE: Final = DEFAULT_TABLE

ACTIONS: Final = tuple(row.name for row in TABLE)
BIT: Final = {row.name: 1 << place for place, row in enumerate(TABLE)}
EVERY_ACTION: Final = sum(BIT.values())
AVERSIONS: Final = sum(BIT[row.name] for row in TABLE if not row.wish)
PREDICTED: Final = tuple(row.name for row in TABLE if row.predicted)
FEATURED: Final = tuple(row.name for row in TABLE if row.features)


def carrying(value: str) -> int:
    """The actions whose events may carry such a value, as bits."""
    return sum(BIT[row.name] for row in TABLE if row.value == value)


def windows_s(default_s: float) -> dict[str, float]:
    """How long after an impression each action still counts as its outcome."""
    return {row.name: default_s if row.window_s is None else row.window_s for row in TABLE}


def strongest(action_mask: int) -> int:
    """The bit of the strongest of these actions; 0 of none."""
    came = [row for row in TABLE if action_mask & BIT[row.name]]
    last = max(came, key=lambda row: (not row.wish, row.strength, BIT[row.name]), default=None)
    return BIT[last.name] if last else 0
