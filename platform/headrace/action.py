"""The table of actions of this process: kinds of outcomes of an impression, a row each.

Events, facts, the join, labels, the ranker's heads, the bits of outcomes and histories, default
features and loaders follow from the rows, which the application file declares
(`headrace.application`). Bit b of an action mask is the b-th row, so rows are added at the end.
"""

from __future__ import annotations

from typing import Final

from headrace.application.action import BUILT_IN as BUILT_IN
from headrace.application.action import CLICK as CLICK
from headrace.application.action import DEFAULT_TABLE as DEFAULT_TABLE
from headrace.application.action import FIELDS as FIELDS
from headrace.application.action import FOR_EVER as FOR_EVER
from headrace.application.action import GRADE as GRADE
from headrace.application.action import MAX_ACTIONS as MAX_ACTIONS
from headrace.application.action import MONEY as MONEY
from headrace.application.action import Action as Action
from headrace.application.action import table as table
from headrace.application.current import APPLICATION

TABLE: Final = APPLICATION.actions

ACTIONS: Final = tuple(row.name for row in TABLE)
BIT: Final = {row.name: 1 << place for place, row in enumerate(TABLE)}
EVERY_ACTION: Final = sum(BIT.values())
AVERSIONS: Final = sum(BIT[row.name] for row in TABLE if not row.wish)
GRADED: Final = sum(BIT[row.name] for row in TABLE if row.value == GRADE)
PAID: Final = sum(BIT[row.name] for row in TABLE if row.value == MONEY)
PREDICTED: Final = APPLICATION.heads
FEATURED: Final = tuple(row.name for row in TABLE if row.features)
BOUGHT: Final = tuple(row.name for row in TABLE if row.value == MONEY)


def windows_s(default_s: float) -> dict[str, float]:
    """How long after an impression each action still counts as its outcome."""
    return {row.name: default_s if row.window_s is None else row.window_s for row in TABLE}


def strongest(action_mask: int) -> int:
    """The bit of the strongest of these actions; 0 of none."""
    came = [row for row in TABLE if action_mask & BIT[row.name]]
    last = max(came, key=lambda row: (not row.wish, row.strength, BIT[row.name]), default=None)
    return BIT[last.name] if last else 0
