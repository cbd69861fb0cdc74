"""Next items: a log without impressions judged by the whole catalogue ranked before each choice.

A point is a choice of the test whose item its user had not chosen before. All that came before it
is known. What is ranked is the catalogue without what the user had chosen; what came is one item,
the next one. Beside the ranker stand lists of the most popular items of the same run.

    N items   P points
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from headrace.broker.record import Record
from headrace.catalogue.item import Dataset
from headrace.catalogue.words import user_word_keys
from headrace.config import Settings
from headrace.evaluation.dataset.catalogue_ranking import CatalogueRanking
from headrace.event import Event, ImpressionEvent
from headrace.features.aggregation.facts import Ints
from headrace.features.rows.groups import groups_of_items
from headrace.features.rows.state_row import decode_rows
from headrace.features.table import USER_LAYOUT
from headrace.keys import key
from headrace.model.ranker import Ranker
from headrace.sample import Sample
from headrace.stream.step.batch_path import BatchPath, WordsOf
from headrace.stream.step.intake import Decoded
from headrace.stream.step.negatives import Negatives, chosen_as
from headrace.stream.step.partition import PartitionSettings

PARTITION: Final = 0
STEP: Final = 1_024  # events that are worked on at once
MODEL: Final = "model"
HOUR_MS: Final = 3_600_000
POPULAR_MS: Final = {  # how far back a list of the most popular counts
    "popular, 1 h": HOUR_MS,
    "popular, 1 day": 24 * HOUR_MS,
    "popular, 30 days": 720 * HOUR_MS,
}


class Model(Protocol):
    """What ranks: a learner that goes on, or a published version."""

    def learn(self, samples: Sequence[Sample]) -> None:
        """Take in the samples of what came by now."""

    def ranker(self) -> Ranker | None:
        """The ranker of now, None where it is still the one that was given last."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """Where each list has the item that came, 1 for the first; ties count against it."""

    user_P: Ints
    rank_P: dict[str, Ints]  # by list


class Popular:
    """The counts of choices of the last so many milliseconds."""

    def __init__(self, window_ms: int, num_items: int) -> None:
        self._window_ms, self.count_N = window_ms, np.zeros(num_items, np.int64)
        self._inside: deque[tuple[int, int]] = deque()

    def add(self, time_ms: int, place: int) -> None:
        """A choice."""
        self.count_N[place] += 1
        self._inside.append((time_ms, place))

    def end(self, now_ms: int) -> None:
        """Forget those that are too old by now."""
        while self._inside and self._inside[0][0] <= now_ms - self._window_ms:
            self.count_N[self._inside.popleft()[1]] -= 1


class NextItems:
    """One pass over a dataset, in the order of time."""

    def __init__(
        self, dataset: Dataset, settings: Settings, model: Model, ranking: CatalogueRanking
    ) -> None:
        self._dataset, self._model, self._ranking = dataset, model, ranking
        ids = [item.item_id for item in dataset.items]
        attributes = {user.user_id: user.attributes for user in dataset.users}
        self._words_of: WordsOf = lambda user_id: user_word_keys(attributes.get(user_id, ()))
        window_ms = int(settings.stream.click_window_s * 1_000)
        negatives = Negatives.of(settings, ids)
        self._path = BatchPath(
            {item.item_id: item for item in dataset.items}.get,
            PartitionSettings(settings.stream.dedupe_window, window_ms, negatives=negatives),
            words_of=self._words_of,
        )
        self._item_N = self._path.merged.items.indexes(ids)
        self._path.merged.meet_items()
        self._place_of = {item_id: place for place, item_id in enumerate(ids)}
        self._popular = {name: Popular(ms, len(ids)) for name, ms in POPULAR_MS.items()}
        self._chosen_of: dict[str, set[int]] = {}  # places
        self._decoded: list[Decoded] = []

    def ranks(self, test_ms: int, every: int) -> Ranks:
        """The ranks at one of so many points of the test."""
        users, found, num = list[int](), list[list[int]](), 0
        for event, place in self._choices():
            if event.event_time_ms >= test_ms:
                num += 1
                if num % every == 0:
                    users.append(key(event.user_id))
                    found.append(self._at(event, place))
        rank_LP = np.array(found, np.int64).reshape(-1, 1 + len(self._popular)).T
        lists = (MODEL, *self._popular)
        return Ranks(np.array(users, np.int64), dict(zip(lists, rank_LP, strict=True)))

    def _choices(self) -> Iterator[tuple[Event, int]]:
        """Each choice of an item that is new to its user, before it is known."""
        for offset, event in enumerate(self._dataset.events()):
            place = -1
            if not isinstance(event, ImpressionEvent) and chosen_as(event):
                place = self._place_of.get(event.item_id, -1)
            chosen = self._chosen_of.setdefault(event.user_id, set())
            if place >= 0 and place not in chosen:
                yield event, place
            if place >= 0:
                chosen.add(place)
                for popular in self._popular.values():
                    popular.add(event.event_time_ms, place)
            record = Record(PARTITION, offset, event.event_time_ms, b"", b"")
            self._decoded.append(Decoded(record, event))
            if len(self._decoded) >= STEP:
                self._work()

    def _work(self) -> None:
        """Process the events taken, and let the model learn of them."""
        if self._decoded:
            newest_ms = self._decoded[-1].record.arrival_ms
            self._model.learn(self._path.process(PARTITION, self._decoded, newest_ms).samples)
            self._decoded = []

    def _at(self, event: Event, place: int) -> list[int]:
        """The rank of what came in each list."""
        self._work()
        if (ranker := self._model.ranker()) is not None:
            self._ranking.use(ranker)
        logit_N = self._logits(event)
        ranked_N = np.ones(len(self._item_N), np.bool_)
        ranked_N[list(self._chosen_of[event.user_id])] = False
        for popular in self._popular.values():
            popular.end(event.event_time_ms)
        scores: list[NDArray[Any]] = [logit_N, *(one.count_N for one in self._popular.values())]
        return [int((score_N[ranked_N] >= score_N[place]).sum()) for score_N in scores]

    def _logits(self, event: Event) -> NDArray[np.float32]:
        row, user_id = self._path.user_rows.get(event.user_id), event.user_id
        user_1 = decode_rows([row], USER_LAYOUT)["state"] if row else USER_LAYOUT.new(1)
        states = user_1, self._path.merged.items.states(self._item_N)
        groups = groups_of_items(self._path.merged, self._item_N)
        return self._ranking.logits(event, self._words_of(user_id), states, groups)
