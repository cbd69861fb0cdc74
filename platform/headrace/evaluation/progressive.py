"""Progressive validation, an evaluation's model: score first, then train on visible outcomes.

Q rows of a batch   C impressions of them   J labels
"""

from __future__ import annotations

import copy
import heapq
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import count
from typing import Final, Generic

import numpy as np
import torch
from numpy.typing import NDArray

from headrace.catalogue.words import ContentTable
from headrace.evaluation.quality import Quality
from headrace.evaluation.row import BATCH_IMPRESSIONS, TEST, AnyRow
from headrace.features.inputs import NUM_DENSE, RATES
from headrace.learning.learner import OnlineLearner
from headrace.model.batch import Batch
from headrace.model.calibration import per_impression
from headrace.model.config import CLICK, SIZES, RankerConfig, heads_of

CLICK_LABEL: Final = "is_click"


def head_names(labels: Sequence[str]) -> tuple[str, ...]:
    """The heads of these labels: actions, or columns of KuaiRand."""
    return tuple(CLICK if label == CLICK_LABEL else label for label in labels)


def ranker_config(
    size: str, labels: Sequence[str], surfaces: Iterable[str], content_widths: tuple[int, ...] = ()
) -> RankerConfig:
    """The ranker of this size with a head per label; the click is always one of them."""
    others = [name for name in head_names(labels) if name != CLICK]
    return replace(
        SIZES[size](NUM_DENSE),
        rates=RATES,
        heads=heads_of([CLICK, *others]),
        surfaces=tuple(sorted(surfaces)),
        content_widths=content_widths,
    )


class Progressive(ABC, Generic[AnyRow]):
    """A learner that goes through a log once. Without `online` it stands still after the train.

    What predicts is the learner as it was at the last multiple of `publish_every_ms`, or as it is.
    How rows become a batch is for the kinds of log to say.
    """

    def __init__(
        self,
        config: RankerConfig,
        labels: Sequence[str],
        content: ContentTable,
        seed: int,
        online: bool,
        publish_every_ms: int = 0,
    ) -> None:
        torch.manual_seed(seed)
        self._config, self._online, self._publish_every_ms = config, online, publish_every_ms
        self._learner = OnlineLearner(config, seed, window=1 << 62)
        self._content = content
        heads = [head.name for head in config.heads]
        self._columns = [heads.index(name) for name in head_names(labels)]
        self._places = {label: place for place, label in enumerate(labels)}
        self._waiting: list[tuple[int, int, AnyRow]] = []  # a heap, by when outcomes are visible
        self._arrivals = count()
        self._visible: deque[AnyRow] = deque()
        self._testing, self._day = False, -1
        self._published, self._version = self._learner, -1
        self._at_midnight = self._learner
        self.quality = Quality(labels)

    @property
    def num_parameters(self) -> int:
        """Of everything that is not an embedding."""
        return sum(parameter.numel() for parameter in self._learner.ranker.parameters())

    def take(self, rows: Sequence[AnyRow]) -> None:
        """Learn from the outcomes visible by now, and score the rows, which are of one split."""
        begins = not self._testing and rows[0].split == TEST
        self._testing = self._testing or begins
        if begins or self._online or not self._testing:
            self._learn_until(rows[0].time_ms, to_the_last=begins)
        if self._testing:
            self._publish(rows[0].time_ms)
            self._begin_day(rows[0].day)
            self._score(rows)
        if self._online or not self._testing:
            for row in rows:
                heapq.heappush(self._waiting, (row.visible_ms, next(self._arrivals), row))

    def affinities(self, rows: Sequence[AnyRow], at_midnight: bool = False) -> NDArray[np.float32]:
        """[C, 2]: the affinities of these rows by the item factors of the model that predicts.

        Asked of a batch that was just taken, they were fitted on outcomes visible before it, or
        before its midnight.
        """
        model = self._at_midnight if at_midnight else self._published
        batch = self._batch(rows, at_midnight)
        affinity_C2: NDArray[np.float32] = model.ranker.affinities(batch).cpu().numpy()
        return affinity_C2

    def _learn_until(self, now_ms: int, to_the_last: bool = False) -> None:
        """Learn from rows whose outcomes are visible by now, in full batches or `to_the_last`."""
        while self._waiting and self._waiting[0][0] <= now_ms:
            self._visible.append(heapq.heappop(self._waiting)[2])
        while rows := self._next_batch(to_the_last):
            self._learner.learn(self._batch(rows))

    def _next_batch(self, to_the_last: bool) -> list[AnyRow]:
        """The next visible rows that make a full batch, or all; empty where there are too few."""
        num_rows = num_impressions = 0
        while num_rows < len(self._visible) and num_impressions < BATCH_IMPRESSIONS:
            num_impressions += len(self._visible[num_rows].num_of_items)
            num_rows += 1
        if num_impressions < BATCH_IMPRESSIONS and not to_the_last:
            return []
        return [self._visible.popleft() for _ in range(num_rows)]

    def _publish(self, now_ms: int) -> None:
        """Copy the learner as the model that predicts, once per `publish_every_ms`."""
        if self._publish_every_ms and now_ms // self._publish_every_ms > self._version:
            self._published = copy.deepcopy(self._learner)
            self._version = now_ms // self._publish_every_ms

    def _begin_day(self, day: int) -> None:
        """At a day's first batch, keep the model that predicts as that of midnight.

        What is learned within the day, of users and of what they have in common, moves against the
        label like their counters do.
        """
        if day > self._day:
            self._at_midnight = copy.deepcopy(self._published) if self._online else self._published
            self._day = day

    def _score(self, rows: Sequence[AnyRow]) -> None:
        p_CJ = self._predict(self._published, self._batch(rows))
        p_at_midnight_CJ = self._predict(self._at_midnight, self._batch(rows, at_midnight=True))
        self.quality.add(rows, p_CJ, p_at_midnight_CJ)

    def _predict(self, model: OnlineLearner, batch: Batch) -> NDArray[np.float32]:
        """[C, J]: how probable each label is of an impression, clicked or not."""
        p_CJ = per_impression(model.predict(batch), self._config.after_click)
        return p_CJ[:, self._columns]

    @abstractmethod
    def _batch(self, rows: Sequence[AnyRow], at_midnight: bool = False) -> Batch:
        """The batch of these rows, with the users of now or of midnight."""
