"""Predictions as of midnight, which order within a user's day is judged by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from small_log import impression

from headrace.catalogue.words import ContentTable
from headrace.evaluation.files.evaluation import Evaluation
from headrace.evaluation.files.visibility import Observed
from headrace.evaluation.progressive import ranker_config
from headrace.evaluation.quality import Quality
from headrace.evaluation.row import BATCH_IMPRESSIONS, TEST, batches_of
from headrace.features.inputs import NUM_DENSE, RequestFeatures

NOTHING = RequestFeatures(np.zeros((1, NUM_DENSE), np.float32), np.zeros((3, 64), np.int64))
LABELS = ["is_click"]
DAY_MS = 86_400_000


class Differences(Quality):
    """How much the predictions of a batch differ from those as of midnight."""

    def __init__(self) -> None:
        super().__init__(LABELS)
        self.of_batch: list[float] = []

    def add(self, rows: Sequence[Observed], p_QJ: NDArray[Any], midnight_QJ: NDArray[Any]) -> None:
        self.of_batch.append(float(np.abs(p_QJ - midnight_QJ).max()))


def test_what_is_learned_within_a_day_is_not_known_at_its_midnight() -> None:
    """One user always clicks, one never, and no feature tells who is who."""
    ranker = ranker_config("nano", LABELS, [])
    evaluation = Evaluation(ranker, LABELS, ContentTable({}), seed=0, online=True)
    evaluation.quality = differences = Differences()
    num_a_day = 3 * BATCH_IMPRESSIONS
    every_ms = DAY_MS // num_a_day
    for batch in batches_of(shown(2 * num_a_day, every_ms)):
        evaluation.take(batch)
    first, second = differences.of_batch[:3], differences.of_batch[3:]
    assert first[0] == second[0] == 0
    assert min(first[2], *second[1:]) > 1e-4


def shown(num: int, every_ms: int) -> list[Observed]:
    rows = [impression(n * every_ms, n % 2, 0, bool(n % 2), TEST) for n in range(num)]
    days = [n * every_ms // DAY_MS for n in range(num)]
    return [
        Observed(row, (), NOTHING, NOTHING, day, 0, 0) for row, day in zip(rows, days, strict=True)
    ]
