"""Drawn tables of actions, logs under them, and what should come of these, counted plainly."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from headrace.event import Event, Shown

START_MS: Final = 1_714_554_000_000
WINDOW_MS: Final = 2_000
DELAYS_MS: Final = (100, 400, 1_000, 2_500, 4_000)
USERS: Final = [f"u{n}" for n in range(40)]
ITEMS: Final = [f"i{n}" for n in range(20)]
NUM_REQUESTS: Final = 160

Row = dict[str, Any]  # the arguments of an `Action`


def drawn(random: Random, num: int) -> list[Row]:
    """The click, and others of every kind."""
    others = [
        {
            "name": f"did_{n}",
            "wish": random.random() < 0.7,
            "predicted": random.random() < 0.8,
            "after": random.choice(["", "click"]),
            "features": random.random() < 0.7,
            "window_s": random.choice([None, 0.5, 3.0]),
            "value": random.choice(["", "money", "grade"]),
            "hides_s": random.choice([0.0, 0.0, 20.0, math.inf]),
            "strength": random.randint(0, 9),
            "prior": random.choice([0.02, 0.3]),
        }
        for n in range(1, num)
    ]
    return [{"name": "click", "field": "clicked", "prior": 0.5}, *others]


@dataclass
class Expected:
    """What should come of a log, counted one event at a time."""

    outcomes: dict[tuple[str, str], int] = field(default_factory=dict)  # by request and item
    labelled: dict[str, int] = field(default_factory=dict)  # actions as bits, by request
    sums: Counter[tuple[str, str]] = field(default_factory=Counter)  # by user and measure
    past: Counter[tuple[str, str, int]] = field(default_factory=Counter)  # by user, item, actions
    # By user, item and action: the newest event's time and number, and whether it takes back.
    hiding: dict[tuple[str, str, str], tuple[int, int, bool]] = field(default_factory=dict)
    num_late_wishes: int = 0  # an impression explains none of them


class Log:
    """Events of requests whose outcome is known and of others, and what should come of them.

    Events are imported when they are made: by then the table is declared.
    """

    def __init__(self, random: Random, rows: Sequence[Row]) -> None:
        self._random, self._rows = random, rows
        self._bit = {row["name"]: 1 << place for place, row in enumerate(rows)}
        self._events: list[tuple[int, Event]] = []  # with their times
        self.expected = Expected()
        for number in range(NUM_REQUESTS):
            request, user = f"r{number}", random.choice(USERS)
            items = random.sample(ITEMS, random.randint(1, 3))
            add = self._known if random.random() < 0.5 else self._opened
            add(request, user, items, START_MS + 300 * number)

    def events(self) -> list[Event]:
        """In the order of their times."""
        return [event for _, event in sorted(self._events, key=lambda one: one[0])]

    def _known(self, request: str, user: str, items: Sequence[str], time_ms: int) -> None:
        from headrace.event import Shown, told_by

        labelled, shown = sum(self._bit.values()), []
        for item in items:
            told = [row["name"] for row in self._rows if self._random.random() < 0.8]
            came = {name: self._random.random() < 0.4 for name in dict.fromkeys(["click", *told])}
            value, grade = self._random.choice([0.0, 0.4]), self._random.choice([None, None, 0.8])
            did = [row for row in self._rows if came.get(row["name"])]
            money = {"amount_micros": 5_000_000, "currency": "EUR"} if _carry(did, "money") else {}
            shown.append(Shown(item, value=value, grade=grade, **told_by(came), **money))
            mask = sum(self._bit[row["name"]] for row in did)
            liked = grade or (value if _carry(did, "grade") else 0.0)
            labelled &= sum(self._bit[name] for name in came)
            self.expected.outcomes[request, item] = mask | round(255 * liked) << 8
            self.expected.past[user, item, mask] += 1
            for row in did:
                self._count(user, item, row, time_ms, is_back=False)
        self.expected.labelled[request] = labelled
        self._show(request, user, shown, time_ms)

    def _opened(self, request: str, user: str, items: Sequence[str], time_ms: int) -> None:
        from headrace.event import Shown

        self.expected.labelled[request] = sum(self._bit.values())
        self._show(request, user, [Shown(item) for item in items], time_ms)
        for item in items:
            done = [(row, False) for row in self._rows if self._random.random() < 0.4]
            done += [(row, True) for row in self._rows[1:] if self._random.random() < 0.2]
            delays_ms = [self._random.choice(DELAYS_MS) + place for place in range(len(done))]
            came, share = set[str](), 0
            for delay_ms, (row, is_back) in sorted(
                zip(delays_ms, done, strict=True), key=lambda one: one[0]
            ):
                name, in_time = (
                    row["name"],
                    delay_ms < 1_000 * (row.get("window_s") or WINDOW_MS / 1_000),
                )
                value = 0.6 if row.get("value") == "grade" and self._random.random() < 0.5 else 0.0
                self._act((request, user, item), row, time_ms + delay_ms, value, is_back)
                if in_time and (name in came) != is_back:
                    continue  # it came already, or there is nothing to take back
                self._count(user, item, row, time_ms + delay_ms, is_back)
                self.expected.past[user, item, 0 if is_back else self._bit[name]] += 1
                if in_time and is_back:
                    came.remove(name)
                    share = 0 if row.get("value") == "grade" else share
                elif in_time:
                    came.add(name)
                    share = round(255 * value) or share
                elif row.get("wish", True) and not is_back:
                    self._count_alone(user, item, name)
            mask = sum(self._bit[name] for name in came)
            self.expected.outcomes[request, item] = mask | share << 8

    def _count_alone(self, user: str, item: str, name: str) -> None:
        """What no impression explains was shown and chosen, too."""
        self.expected.num_late_wishes += 1
        self.expected.sums[user, "shown"] += 1
        if name != "click":
            self.expected.sums[user, "click"] += 1
            self.expected.past[user, item, self._bit[name]] -= 1
            self.expected.past[user, item, 1 | self._bit[name]] += 1

    def _count(self, user: str, item: str, row: Row, time_ms: int, is_back: bool) -> None:
        self.expected.sums[user, row["name"]] += -1 if is_back else 1
        if row.get("hides_s"):
            hiding, at = self.expected.hiding, (user, item, row["name"])
            newest = (time_ms, len(self._events), is_back)  # in the order of the log
            hiding[at] = max(hiding.get(at, newest), newest)

    def _show(self, request: str, user: str, shown: Sequence[Shown], time_ms: int) -> None:
        from headrace.event import ImpressionEvent

        event = ImpressionEvent(f"e-{request}", time_ms, user, request, tuple(shown))
        self._events.append((time_ms, event))
        self.expected.sums[user, "shown"] += len(shown)

    def _act(
        self, place: tuple[str, str, str], row: Row, time_ms: int, value: float, back: bool
    ) -> None:
        from headrace.event import ActionEvent, ClickEvent

        (request, user, item), name = place, row["name"]
        who = (f"e-{request}-{item}-{name}-{back}", time_ms, user, item)
        if name == "click":
            event: Event = ClickEvent(*who, request)
        elif row["value"] == "money":
            paid = {"amount_micros": -5_000_000 if back else 5_000_000, "currency": "EUR"}
            event = ActionEvent(*who, name, request_id=request, **paid)
        else:
            event = ActionEvent(*who, name, value, request, taken_back=back)
        self._events.append((time_ms, event))


def _carry(rows: Sequence[Row], value: str) -> bool:
    return any(row.get("value") == value for row in rows)


def plain_hidden(expected: Expected, rows: Sequence[Row], now_ms: int) -> set[tuple[str, str]]:
    """The items that are hidden from users at a time."""
    hides_ms = {row["name"]: 1_000 * row.get("hides_s", 0.0) for row in rows}
    return {
        (user, item)
        for (user, item, name), (time_ms, _, is_back) in expected.hiding.items()
        if not is_back and now_ms - 1_000 * (time_ms // 1_000) < hides_ms[name]
    }


def plain_set(mask: int, rows: Sequence[Row]) -> int:
    """What the ranker tells of past actions: those with features, of no others' aversion."""
    told = [row.get("features", True) for row in rows]
    for bit, row in enumerate(rows):
        if mask >> bit & 1 and not told[bit] and not row.get("wish", True):
            return 0
    bits = [bit for bit in range(len(rows)) if told[bit]]
    return sum((mask >> bit & 1) << place for place, bit in enumerate(bits))


def plain_labels(samples: Sequence[Any], rows: Sequence[Row]) -> np.ndarray:
    """[C, J]: 1 where an action came, after a click if the row says so, and no aversion contradicts
    a like; NaN where not known."""
    predicted = [(b, row) for b, row in enumerate(rows) if row.get("predicted", True)]
    label_CJ = []
    for sample in samples:
        for outcome in sample.outcomes:
            label_J = [float(outcome >> bit & 1) for bit, _ in predicted]
            for place, (bit, row) in enumerate(predicted):
                label_J[place] *= outcome & 1 if row.get("after") else 1
                label_J[place] *= not (row.get("value") == "grade" and _is_averse(outcome, rows))
                if not sample.labelled >> bit & 1 or (row.get("after") and not sample.labelled & 1):
                    label_J[place] = math.nan
            label_CJ.append(label_J)
    return np.array(label_CJ, np.float32)


def plain_grades(samples: Sequence[Any], rows: Sequence[Row]) -> list[float]:
    """[C]: 0 where there was an aversion, else the share, or whether anything came."""
    return [
        0.0 if _is_averse(outcome, rows) else (outcome >> 8) / 255 or float(outcome & 255 > 0)
        for sample in samples
        for outcome in sample.outcomes
    ]


def _is_averse(outcome: int, rows: Sequence[Row]) -> bool:
    return any(outcome >> bit & 1 for bit, row in enumerate(rows) if not row.get("wish", True))
