"""Rows with their features as of their own time, under the visibility rule.

What came of an impression is visible `VISIBLE_AFTER_MS` after it, to features, histories and
whoever learns. The stream's own code does the work: a row is asked for when it is shown, and known
as a fact when its outcome is visible. Memory holds what features keep per user and item, the rows
of the last minute, and one chunk.

    Q rows asked for   C candidates: here one per row
"""

from __future__ import annotations

import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headrace.action import EVERY_ACTION
from headrace.broker.record import Record
from headrace.catalogue.item import Item, User
from headrace.catalogue.words import user_word_keys
from headrace.evaluation.days import Days
from headrace.evaluation.files.impressions import Impression
from headrace.evaluation.row import BEFORE, TEST, VISIBLE_AFTER_MS
from headrace.features.inputs import RequestFeatures
from headrace.features.rows.merged import MergedState
from headrace.features.rows.state_row import blank_rows
from headrace.features.table import USER_LAYOUT
from headrace.keys import key
from headrace.sample import SEQUENCE_KNOWN
from headrace.stream.step.facts_of_step import SampleRequest, StepFacts
from headrace.stream.step.join import ask, take_shown
from headrace.stream.step.partition_rows import Before, PartitionRows

PARTITION: Final = 0


@dataclass(frozen=True, slots=True)
class Observed:
    """A row as a ranker may see it at its time.

    `at_midnight` are the features with the user as of the beginning of the row's day: a user's own
    counters move against the label within the day, so that order within it must not rest on them.
    """

    impression: Impression
    user_words: tuple[int, ...]
    features: RequestFeatures
    at_midnight: RequestFeatures
    day: int
    num_of_user: int  # rows of this user and of this item before it
    num_of_item: int

    @property
    def split(self) -> str:
        return self.impression.split

    @property
    def time_ms(self) -> int:
        return self.impression.time_ms

    @property
    def visible_ms(self) -> int:
        return self.impression.time_ms + VISIBLE_AFTER_MS

    @property
    def user_key(self) -> int:
        return key(self.impression.event.user_id)

    @property
    def label_NJ(self) -> NDArray[np.float32]:
        return np.array([self.impression.label_J], np.float32)

    @property
    def num_of_items(self) -> tuple[int, ...]:
        return (self.num_of_item,)


class DayRows(PartitionRows):
    """Rows of entities that also know the users as of the beginning of the day."""

    def __init__(self, merged: MergedState) -> None:
        super().__init__(PARTITION, merged, sys.maxsize)
        self.at_midnight: list[RequestFeatures] = []  # of the requests of the last step
        self.begin_day()

    def begin_day(self) -> None:
        """From now on the users as they are now are those of midnight."""
        self._midnight_R = self.users.read(np.arange(len(self.users.ids)))["state"].copy()

    def _give_features(self, asked: Sequence[SampleRequest], before: Before) -> None:
        super()._give_features(asked, before)
        index_Q = self.users.indexes(request.event.user_id for request in asked)
        midnight_Q = USER_LAYOUT.new(len(asked))
        known_Q = index_Q < len(self._midnight_R)
        midnight_Q[known_Q] = self._midnight_R[index_Q[known_Q]]
        self.at_midnight = self._assembled(asked, replace(before, user_Q=midnight_Q))


class Observer:
    """Takes a log row by row, and gives each row of train and test back as `Observed`.

    With `freeze` nothing is learned of users and items once the test has begun. The features do not
    depend on `chunk`, the rows that are worked on at once.
    """

    def __init__(
        self,
        items: Mapping[str, Item],
        users: Mapping[str, User],
        days: Days,
        freeze: bool = False,
        chunk: int = 4_096,
    ) -> None:
        self._users, self._freeze, self._chunk = users, freeze, chunk
        self._days = days
        self._rows = DayRows(MergedState(items.get))
        self._facts_of_step = StepFacts()
        self._asked: list[tuple[Impression, int, int]] = []
        self._waiting: deque[tuple[Impression, Record]] = deque()  # for their outcome to be visible
        self._of_user: Counter[str] = Counter()
        self._of_item: Counter[str] = Counter()
        self._num_rows, self._day = 0, -1

    def observe(self, rows: Iterable[Impression]) -> Iterator[Observed]:
        """Each row that is not from before the log, in order; the rows must come in time order."""
        for row in rows:
            day = self._days.day_of(row.time_ms)
            if day > self._day:
                self._hear_until(self._days.start_ms(day))
                yield from self._step()
                self._day = day
                self._rows.begin_day()
            self._hear_until(row.time_ms)
            self._take(row)
            if len(self._facts_of_step.times_ms) >= 2 * self._chunk:
                yield from self._step()
        yield from self._step()

    def _take(self, row: Impression) -> None:
        record = Record(PARTITION, self._num_rows, row.time_ms, b"", b"")
        self._num_rows += 1
        user_id, item_id = row.event.user_id, row.item_id
        if row.split != BEFORE:
            self._facts_of_step.times_ms.append(row.time_ms)
            ask(row.event, record, self._facts_of_step, SEQUENCE_KNOWN, EVERY_ACTION)
            self._asked.append((row, self._of_user[user_id], self._of_item[item_id]))
            self._of_user[user_id] += 1
            self._of_item[item_id] += 1
        if self._freeze and row.split == TEST:
            self._waiting.clear()
        else:
            self._waiting.append((row, record))

    def _hear_until(self, now_ms: int) -> None:
        """Hear of the outcomes that are visible by now."""
        while self._waiting and self._waiting[0][0].time_ms + VISIBLE_AFTER_MS <= now_ms:
            row, record = self._waiting.popleft()
            self._facts_of_step.times_ms.append(row.time_ms)
            take_shown(row.event, record, self._facts_of_step)

    def _step(self) -> Iterator[Observed]:
        """Apply the facts of the chunk, and yield the rows asked for with their features."""
        facts_of_step, asked = self._facts_of_step, self._asked
        self._facts_of_step, self._asked = StepFacts(), []
        ids = (
            *(fact[0] for fact in facts_of_step.facts),
            *(r.event.user_id for r in facts_of_step.requests),
        )
        missing = self._rows.users.missing(ids)
        words = [user_word_keys(self._attributes(user_id)) for user_id in missing]
        self._rows.users.add(missing, blank_rows(USER_LAYOUT, len(missing), PARTITION), words)
        self._rows.at_midnight = []
        self._rows.apply(facts_of_step)
        answers = zip(asked, facts_of_step.requests, self._rows.at_midnight, strict=True)
        for (row, num_of_user, num_of_item), request, at_midnight in answers:
            assert request.features is not None, "every request has got its features"
            yield Observed(
                impression=row,
                user_words=request.user_word_keys,
                features=request.features,
                at_midnight=at_midnight,
                day=self._day,
                num_of_user=num_of_user,
                num_of_item=num_of_item,
            )

    def _attributes(self, user_id: str) -> tuple[str, ...]:
        user = self._users.get(user_id)
        return user.attributes if user else ()
