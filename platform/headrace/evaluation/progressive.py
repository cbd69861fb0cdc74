"""The model's part of an evaluation: score first, then train on what has become visible.

Q rows of a batch   J labels
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from headrace.catalogue.words import ContentTable
from headrace.evaluation.impressions import TEST
from headrace.evaluation.quality import Quality
from headrace.evaluation.visibility import VISIBLE_AFTER_MS, Observed, day_of
from headrace.features.inputs import NUM_DENSE, RATES, RequestFeatures
from headrace.keys import key
from headrace.learning.learner import OnlineLearner
from headrace.model.batch import Batch, Request, make_batch
from headrace.model.config import CLICK, SIZES, Head, RankerConfig
from headrace.stream.step.join import outcome_known

CLICK_LABEL: Final = "is_click"
BATCH_ROWS: Final = 256


def ranker_config(
    size: str, labels: Sequence[str], surfaces: Iterable[str], content_widths: tuple[int, ...] = ()
) -> RankerConfig:
    """The ranker of this size with a head per label; the click is always one of them."""
    others = tuple(Head(label) for label in labels if label != CLICK_LABEL)
    return replace(
        SIZES[size](NUM_DENSE),
        rates=RATES,
        heads=(Head(CLICK), *others),
        surfaces=tuple(sorted(surfaces)),
        content_widths=content_widths,
    )


class Evaluation:
    """A learner that goes through a log once. Without `online` it stands still after the train.

    What predicts is the learner as it was at the last multiple of `publish_every_ms`, or as it is.
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
        names = [CLICK if label == CLICK_LABEL else label for label in labels]
        self._columns = [[head.name for head in config.heads].index(name) for name in names]
        self._places = {label: place for place, label in enumerate(labels)}
        self._waiting: deque[Observed] = deque()  # for their outcome to be visible
        self._testing, self._day = False, -1
        self._published, self._version = self._learner, -1
        self._at_midnight = self._learner
        self.quality = Quality(labels)

    @property
    def num_parameters(self) -> int:
        """Of everything that is not an embedding."""
        return sum(parameter.numel() for parameter in self._learner.ranker.parameters())

    def take(self, batch: Sequence[Observed]) -> None:
        """Learn from what is visible by now, and score the batch, which is of one split."""
        begins = not self._testing and batch[0].impression.split == TEST
        self._testing = self._testing or begins
        if begins or self._online or not self._testing:
            self._learn_until(batch[0].impression.time_ms, to_the_last=begins)
        if self._testing:
            self._publish(batch[0].impression.time_ms)
            self._begin_day(day_of(batch[0].impression.time_ms))
            self._score(batch)
        if self._online or not self._testing:
            self._waiting += batch

    def affinities(
        self, rows: Sequence[Observed], at_midnight: bool = False
    ) -> NDArray[np.float32]:
        """[Q, 2]: what the item factors of the model that predicts say of these rows.

        Asked of a batch that was just taken, they were fitted on outcomes visible before it, or
        before its midnight.
        """
        model = self._at_midnight if at_midnight else self._published
        features = [row.at_midnight if at_midnight else row.features for row in rows]
        batch = self._batch(rows, features)
        affinity_Q2: NDArray[np.float32] = model.ranker.affinities(batch).cpu().numpy()
        return affinity_Q2

    def _learn_until(self, now_ms: int, to_the_last: bool = False) -> None:
        """Learn from rows whose outcomes are visible by now, in whole batches or `to_the_last`."""
        visible = 0
        for row in self._waiting:
            if row.impression.time_ms + VISIBLE_AFTER_MS > now_ms:
                break
            visible += 1
        while visible >= (1 if to_the_last else BATCH_ROWS):
            rows = [self._waiting.popleft() for _ in range(min(visible, BATCH_ROWS))]
            visible -= len(rows)
            self._learner.learn(self._batch(rows, [row.features for row in rows]))

    def _publish(self, now_ms: int) -> None:
        """Predict with what the learner has become, if it is time."""
        if self._publish_every_ms and now_ms // self._publish_every_ms > self._version:
            self._published = copy.deepcopy(self._learner)
            self._version = now_ms // self._publish_every_ms

    def _begin_day(self, day: int) -> None:
        """From a day's first batch on, what had been learned until then is that of midnight.

        What is learned within the day, of users and of what they have in common, moves against the
        label like their counters do.
        """
        if day > self._day:
            self._at_midnight = copy.deepcopy(self._published) if self._online else self._published
            self._day = day

    def _score(self, rows: Sequence[Observed]) -> None:
        now = self._batch(rows, [row.features for row in rows])
        late = self._batch(rows, [row.at_midnight for row in rows])
        p_QJ, p_at_midnight_QJ = self._published.predict(now), self._at_midnight.predict(late)
        self.quality.add(rows, p_QJ[:, self._columns], p_at_midnight_QJ[:, self._columns])

    def _batch(self, rows: Sequence[Observed], features: Sequence[RequestFeatures]) -> Batch:
        requests = [
            Request(
                user_key=key(row.impression.event.user_id),
                user_tokens=row.user_tokens,
                item_keys=(key(row.impression.item_id),),
                features=of_row,
                label_NJ=self._labels(row),
                outcome_N=np.array([outcome_known(row.impression.event.items[0])]),
                surface=self._config.surface_number(row.impression.event.surface),
            )
            for row, of_row in zip(rows, features, strict=True)
        ]
        return make_batch(requests, self._content, self._config.history)

    def _labels(self, row: Observed) -> NDArray[np.float32]:
        """[1, J]: what came of a row, for each head."""
        label_J, clicked = row.impression.label_J, row.impression.event.items[0].clicked
        of_heads = [
            float(bool(clicked)) if head.name == CLICK else label_J[self._places[head.name]]
            for head in self._config.heads
        ]
        return np.array([of_heads], np.float32)


def batches_of(rows: Iterable[Observed]) -> Iterator[list[Observed]]:
    """Rows of one split and day together, `BATCH_ROWS` at most."""
    batch: list[Observed] = []
    for row in rows:
        if batch and (len(batch) == BATCH_ROWS or _together(row) != _together(batch[0])):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _together(row: Observed) -> tuple[str, int]:
    return row.impression.split, day_of(row.impression.time_ms)
