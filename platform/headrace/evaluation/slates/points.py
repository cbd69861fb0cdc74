"""Points: the moments before positives of the test, with their users and the choices to come.

An item that its user was shown, rated or chose before is in no list, and coming again makes no
point. Where the test tells nothing but choices, the first one of a session makes none either:
nothing says then what its user came for.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from headrace.catalogue.item import Dataset
from headrace.event import Event, ImpressionEvent
from headrace.stream.step.negatives import positives

SESSION_MS: Final = 1_800_000  # between two events of one session
MOST_OF_SESSION: Final = 20  # last choices of it that are kept
SOON: Final = 10  # choices of a user that count as later ones before the test
WARM: Final = 5  # events of a user before the test


@dataclass(slots=True)
class Visitor:
    """A user as he is known: the rows that he had to do with, and those he chose lately."""

    had: set[int] = field(default_factory=set)
    session: deque[int] = field(default_factory=lambda: deque(maxlen=MOST_OF_SESSION))
    session_number: int = -1
    newest_ms: int = -(1 << 62)
    num_before_test: int = 0
    was_asked: bool = False  # in the test


@dataclass(frozen=True, slots=True)
class Point:
    """A moment before a positive."""

    offset: int
    event: Event
    visitor: Visitor
    next_rows: frozenset[int]  # what the event chooses
    later_rows: frozenset[int]  # what its user chooses from then on, before the test a few
    is_test: bool  # before it, weights are fitted
    is_first: bool  # of its user in the test

    @property
    def now_ms(self) -> int:
        return self.event.event_time_ms

    @property
    def is_warm(self) -> bool:
        """Whether the user was there before the test."""
        return self.visitor.num_before_test >= WARM


def had_of(event: Event) -> tuple[str, ...]:
    """The items that an event's user had to do with."""
    if isinstance(event, ImpressionEvent):
        return tuple(shown.item_id for shown in event.items)
    return (event.item_id,)


class Points:
    """One pass over a dataset; `steps` tells each event after its point, if it makes one."""

    def __init__(self, dataset: Dataset, row_of: Mapping[str, int], test_ms: int) -> None:
        self._dataset, self._row_of, self._test_ms = dataset, row_of, test_ms
        self._visitors: dict[str, Visitor] = {}
        self._choices: dict[str, list[tuple[int, int]]] = {}  # offsets and rows, by user
        self.tells_impressions = False
        self.num_sessions = self.num_before_test = 0
        for offset, event in enumerate(dataset.events()):
            if event.event_time_ms >= test_ms:
                self.tells_impressions |= isinstance(event, ImpressionEvent)
            else:
                self.num_before_test += 1
            choices = self._choices.setdefault(event.user_id, [])
            choices += [(offset, row) for row in self._chosen(event)]

    def steps(self) -> Iterator[tuple[int, Event, Visitor, Point | None]]:
        """Each event with its offset, its user as he was before it, and its point."""
        for offset, event in enumerate(self._dataset.events()):
            visitor = self._visitors.setdefault(event.user_id, Visitor())
            chosen = self._chosen(event)
            self._begin_session(visitor, event.event_time_ms)
            yield offset, event, visitor, self._point(offset, event, visitor, chosen)
            is_test = event.event_time_ms >= self._test_ms
            visitor.num_before_test += not is_test
            visitor.had.update(self._rows(had_of(event)))
            visitor.session.extend(row for row in chosen if row not in visitor.session)
            visitor.newest_ms = event.event_time_ms

    def _point(
        self, offset: int, event: Event, visitor: Visitor, chosen: list[int]
    ) -> Point | None:
        new, is_test = frozenset(chosen) - visitor.had, event.event_time_ms >= self._test_ms
        is_begin = not self.tells_impressions and not visitor.session
        if not new or (is_test and is_begin):
            return None
        choices = self._choices[event.user_id]
        begin = bisect_left(choices, (offset, 0))
        test_begin = bisect_left(choices, (self.num_before_test, 0))
        end = len(choices) if is_test else min(begin + SOON, test_begin)
        later_rows = frozenset(row for _, row in choices[begin:end]) - visitor.had
        is_first = is_test and not visitor.was_asked
        visitor.was_asked |= is_test
        return Point(offset, event, visitor, new, later_rows, is_test, is_first)

    def _begin_session(self, visitor: Visitor, now_ms: int) -> None:
        if now_ms - visitor.newest_ms > SESSION_MS:
            visitor.session.clear()
            visitor.session_number = self.num_sessions
            self.num_sessions += 1

    def _chosen(self, event: Event) -> list[int]:
        return self._rows(positives(event))

    def _rows(self, item_ids: tuple[str, ...] | list[str]) -> list[int]:
        return [row for item_id in item_ids if (row := self._row_of.get(item_id, 0))]
