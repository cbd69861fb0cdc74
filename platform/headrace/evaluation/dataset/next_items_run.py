"""Next items evaluated: by a learner of its own, or by a published version with fixed weights."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from headrace.catalogue.item import Dataset
from headrace.catalogue.words import ContentTable
from headrace.config import Settings
from headrace.errors import ConfigError
from headrace.evaluation.dataset.asked import Asked
from headrace.evaluation.dataset.catalogue_ranking import CatalogueRanking
from headrace.evaluation.dataset.next_items import Model, NextItems
from headrace.evaluation.dataset.next_items_report import report
from headrace.evaluation.dataset.published import PublishedVersion
from headrace.evaluation.dataset.survey import Survey
from headrace.evaluation.progressive import ranker_config
from headrace.evaluation.row import BATCH_IMPRESSIONS
from headrace.learning.learner import OnlineLearner
from headrace.model.batch import batch_of_samples
from headrace.model.config import CLICK, RankerConfig
from headrace.model.ranker import Ranker
from headrace.sample import Sample

MAX_POINTS: Final = 5_000  # of more choices in the test, one of so many is ranked for


class Learning:
    """A learner that goes through the log in full batches; without `online` it stands still from
    the test on."""

    def __init__(
        self, config: RankerConfig, content: ContentTable, asked: Asked, test_ms: int
    ) -> None:
        self._learner = OnlineLearner(config, asked.seed, window=1 << 62)
        self._config, self._content = config, content
        self._online, self._test_ms = asked.online, test_ms
        self._pending: deque[Sample] = deque()
        self._num_pending = 0
        self._is_new = True

    def learn(self, samples: Sequence[Sample]) -> None:
        """Take in the samples of what came by now."""
        for sample in samples:
            if self._online or sample.event_time_ms < self._test_ms:
                self._pending.append(sample)
                self._num_pending += sample.num_impressions
            if self._num_pending >= BATCH_IMPRESSIONS:
                self._step()

    def ranker(self) -> Ranker | None:
        """The ranker of now, None where it is still the one that was given last."""
        if self._pending and not self._online:
            self._step()
        is_new, self._is_new = self._is_new, False
        return self._learner.ranker if is_new else None

    def _step(self) -> None:
        self._learner.learn(batch_of_samples(self._pending, self._content, self._config))
        self._pending.clear()
        self._num_pending, self._is_new = 0, True


class Fixed:
    """A published version: nothing is learned."""

    def __init__(self, version: PublishedVersion) -> None:
        self._ranker: Ranker | None = version.ranker

    def learn(self, samples: Sequence[Sample]) -> None:
        """Pass over them."""

    def ranker(self) -> Ranker | None:
        """The version's, the first time that it is asked for."""
        ranker, self._ranker = self._ranker, None
        return ranker


def evaluate_next_items(
    dataset: Dataset,
    settings: Settings,
    asked: Asked,
    found: Survey,
    content: ContentTable,
    version: PublishedVersion | None,
) -> dict[str, Any]:
    """The report on the choices of the test."""
    for is_given, flag in (
        (asked.publish_every_ms, "--publish-every"),
        (asked.frozen_features, "--frozen-features"),
        (asked.labels != (CLICK,), "--labels"),
    ):
        if is_given:
            raise ConfigError(
                f"{flag} does not go with a test without impressions, where the next item is "
                "ranked for: leave it out"
            )
    config = (
        version.config
        if version
        else ranker_config(asked.size, (CLICK,), found.surfaces, content.vectors.widths)
    )
    model: Model = Fixed(version) if version else Learning(config, content, asked, found.test_ms)
    ranking = CatalogueRanking(dataset.items, content, config)
    every = math.ceil(found.num_choices / MAX_POINTS)
    started_s = time.monotonic()
    ranks = NextItems(dataset, settings, model, ranking).ranks(found.test_ms, every)
    return {
        **report(ranks, asked.top, asked.num_draws),
        "items": len(dataset.items),
        "samples": found.num_choices,
        "train_samples": found.num_train_choices,
        "seconds": time.monotonic() - started_s,
    }
