"""The requests of a dataset as an evaluation reads them: samples as the stream makes them, with
outcomes hidden for a while.

Q samples   N impressions   J labels   F features
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from headrace.broker.record import Record
from headrace.catalogue.item import Dataset
from headrace.catalogue.words import user_word_keys
from headrace.config import Settings
from headrace.evaluation.dataset.delayed_facts import Delay, DelayedPartition
from headrace.evaluation.days import Days
from headrace.evaluation.row import TEST, TRAIN, VISIBLE_AFTER_MS
from headrace.event import Event, ImpressionEvent
from headrace.features.aggregation.asked import Requests
from headrace.features.inputs import OF_SHARED, assemble
from headrace.features.rows.state_row import blank_rows, decode_rows
from headrace.features.table import ITEM_LAYOUT, USER_LAYOUT
from headrace.model.config import heads_of
from headrace.model.labels import labels_of
from headrace.sample import SEQUENCE_KNOWN, Sample
from headrace.stream.step.batch_path import BatchPath
from headrace.stream.step.intake import Decoded
from headrace.stream.step.negatives import Negatives
from headrace.stream.step.partition import PartitionSettings

PARTITION: Final = 0
STEP: Final = 4_096  # events that are worked on at once


@dataclass(frozen=True, slots=True)
class Case:
    """A sample with its labels, split and times, and its counterpart with the user as of midnight.

    A user's own counters move against the label within the day, so that order within it must not
    rest on them. Before the test nobody asks for that: there it is the sample itself.
    """

    sample: Sample
    at_midnight: Sample
    split: str
    day: int
    visible_ms: int
    label_NJ: NDArray[np.float32]
    num_of_user: int
    num_of_items: tuple[int, ...]

    @property
    def time_ms(self) -> int:
        return self.sample.event_time_ms

    @property
    def user_key(self) -> int:
        return self.sample.user_key


@dataclass(frozen=True, slots=True)
class Terms:
    """Which actions are labels, where the test begins, in which time zone days are, and whether
    anything is learned of users and items in the test."""

    labels: tuple[str, ...]
    test_ms: int
    days: Days
    frozen: bool = False


@dataclass(frozen=True, slots=True)
class _Asked:
    """An event that may yield a sample by `due_ms`, with its user's midnight row and counts."""

    event: Event
    due_ms: int
    user_row: bytes | None  # as of midnight
    day: int
    num_of_user: int
    num_of_items: tuple[int, ...]


class Cases:
    """One pass over a dataset; cases come in the order of time. What comes out does not depend on
    `step`, the events that are worked on at once."""

    def __init__(
        self, dataset: Dataset, settings: Settings, terms: Terms, step: int = STEP
    ) -> None:
        self._dataset, self._terms, self._step = dataset, terms, step
        self._heads = heads_of(terms.labels)
        self._window_ms = int(settings.stream.click_window_s * 1_000)
        attributes = {user.user_id: user.attributes for user in dataset.users}
        delay = Delay(VISIBLE_AFTER_MS, terms.test_ms if terms.frozen else None)
        self._path = BatchPath(
            {item.item_id: item for item in dataset.items}.get,
            PartitionSettings(
                settings.stream.dedupe_window,
                self._window_ms,
                negatives=Negatives.of(settings, [item.item_id for item in dataset.items]),
            ),
            words_of=lambda user_id: user_word_keys(attributes.get(user_id, ())),
            make_partition=partial(DelayedPartition, delay=delay),
        )
        self._midnight: dict[str, bytes] = {}  # the users' rows
        self._decoded: list[Decoded] = []
        self._asked: dict[int, _Asked] = {}  # by offset
        self._ready: list[tuple[int, int, Case]] = []  # a heap, by time and offset
        self._of_user: Counter[str] = Counter()
        self._of_item: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Case]:
        day, days = -1, self._terms.days
        for offset, event in enumerate(self._dataset.events()):
            if days.day_of(event.event_time_ms) > day:
                day = days.day_of(event.event_time_ms)
                yield from self._work_until(days.start_ms(day))
                self._midnight = dict(self._path.user_rows)
            self._take(offset, event, day)
            if len(self._decoded) >= self._step:
                yield from self._work_until(event.event_time_ms)
        yield from self._work_until(self._dataset.end_ms + self._window_ms + VISIBLE_AFTER_MS)

    def _take(self, offset: int, event: Event, day: int) -> None:
        time_ms, user_id = event.event_time_ms, event.user_id
        self._decoded.append(Decoded(Record(PARTITION, offset, time_ms, b"", b""), event))
        shown = event.items if isinstance(event, ImpressionEvent) else (event,)
        is_open = isinstance(event, ImpressionEvent) and not event.outcome_known
        self._asked[offset] = _Asked(
            event,
            time_ms + (self._window_ms if is_open else 0),
            self._midnight.get(user_id),
            day,
            self._of_user[user_id],
            tuple(self._of_item[one.item_id] for one in shown),
        )
        if isinstance(event, ImpressionEvent):
            self._of_user[user_id] += len(shown)
            self._of_item.update(one.item_id for one in shown)

    def _work_until(self, now_ms: int) -> Iterator[Case]:
        """Process the events taken and close the windows over by now; yields cases in order."""
        samples: list[Sample] = []
        if self._decoded:
            newest_ms = self._decoded[-1].record.arrival_ms
            samples += self._path.process(PARTITION, self._decoded, newest_ms).samples
            self._decoded = []
        samples += self._path.process(PARTITION, [], now_ms).samples
        asked = [self._asked.pop(sample.source_offset) for sample in samples]
        for case in self._cases(samples, asked):
            heapq.heappush(self._ready, (case.time_ms, case.sample.source_offset, case))
        # Of what is due by now nothing comes any more: these were copies.
        self._asked = {at: one for at, one in self._asked.items() if one.due_ms > now_ms}
        oldest_ms = min((one.event.event_time_ms for one in self._asked.values()), default=now_ms)
        while self._ready and self._ready[0][0] <= oldest_ms:
            yield heapq.heappop(self._ready)[2]

    def _cases(self, samples: Sequence[Sample], asked: Sequence[_Asked]) -> Iterator[Case]:
        is_test = [sample.event_time_ms >= self._terms.test_ms for sample in samples]
        # Nothing is judged by what was drawn.
        test = [n for n, sample in enumerate(samples) if is_test[n] and not sample.log_q]
        late = dict(zip(test, self._at_midnight(samples, asked, test), strict=True))
        for place, (sample, one) in enumerate(zip(samples, asked, strict=True)):
            known = sample.sequence == SEQUENCE_KNOWN
            yield Case(
                sample=sample,
                at_midnight=late.get(place, sample),
                split=TEST if is_test[place] else TRAIN,
                day=one.day,
                visible_ms=sample.event_time_ms + (VISIBLE_AFTER_MS if known else self._window_ms),
                label_NJ=labels_of(sample, self._heads),
                num_of_user=one.num_of_user,
                num_of_items=one.num_of_items
                + (0,) * (sample.num_impressions - len(one.num_of_items)),
            )

    def _at_midnight(
        self, samples: Sequence[Sample], asked: Sequence[_Asked], places: Sequence[int]
    ) -> Iterator[Sample]:
        """These samples with the user as of midnight, and the items as of their own time."""
        if not places:
            return
        chosen = [(samples[place], asked[place]) for place in places]
        rows_Q = blank_rows(USER_LAYOUT, len(chosen), PARTITION)
        stored = {place: one.user_row for place, (_, one) in enumerate(chosen) if one.user_row}
        rows_Q[list(stored)] = decode_rows(list(stored.values()), USER_LAYOUT)
        item_N = self._path.merged.items.find(
            item_id for _, one in chosen for item_id in _items_of(one.event)
        )
        requests = Requests.of(
            [sample.event_time_ms for sample, _ in chosen],
            [one.event.surface for _, one in chosen],
            [sample.context for sample, _ in chosen],
        )
        request_N = np.repeat(np.arange(len(chosen)), [s.num_impressions for s, _ in chosen])
        items = self._path.merged.catalogue.asked(item_N, request_N)
        features = assemble(rows_Q["state"], ITEM_LAYOUT.new(len(item_N)), requests, items)
        for (sample, _), of_user in zip(chosen, features, strict=True):
            of_user.dense_NF[:, list(OF_SHARED)] = sample.dense_NF[:, list(OF_SHARED)]
            dense, history = of_user.dense_NF.tobytes(), of_user.history_3T.tobytes()
            yield msgspec.structs.replace(sample, dense=dense, history=history)


def _items_of(event: Event) -> tuple[str, ...]:
    shown = event.items if isinstance(event, ImpressionEvent) else (event,)
    return tuple(one.item_id for one in shown)
