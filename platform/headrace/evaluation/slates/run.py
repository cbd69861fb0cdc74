"""Slates evaluated: one pass over a dataset, a request before each positive of the test."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any, Final

import numpy as np
import torch

from headrace.application.sources import RANKER
from headrace.catalogue.item import Dataset
from headrace.config import Settings
from headrace.errors import ConfigError
from headrace.evaluation.dataset.survey import survey, test_start_ms
from headrace.evaluation.progress import Progress
from headrace.evaluation.slates.asked import AskedSlates
from headrace.evaluation.slates.baselines import Baselines
from headrace.evaluation.slates.beyond import Beyond
from headrace.evaluation.slates.figures import ALL, Figures
from headrace.evaluation.slates.learner import WalkLearner
from headrace.evaluation.slates.points import Point, Points, had_of
from headrace.evaluation.slates.replica import WalkedReplica
from headrace.slates.rank import RankContext
from headrace.slates.stages import QUOTAS
from headrace.stream.step.negatives import positives

SLATE: Final = "slate"
FITTED: Final = 1_000  # points of either case before the test, which the blend is fitted on
NEXT, LATER, FIRST = "next", "later", "first"
JUDGED: Final = {
    NEXT: "each point, relevant is what comes next",
    LATER: "each point, relevant is all that its user chooses from then on",
    FIRST: "each user's first point of the test, relevant is all that he chooses from then on",
}


def evaluate_slates(dataset: Dataset, settings: Settings, asked: AskedSlates) -> dict[str, Any]:
    """The report: figures of slates and baselines, recall of sources, and their make-up.

    Raises `ConfigError` or `DatasetError` for a test that cannot be.
    """
    if asked.every < 1:
        raise ConfigError(f"--every {asked.every}: expected a number of points, 1 or more")
    start_ms = test_start_ms(dataset, asked.test_from_ms, asked.test_share)
    found = survey(dataset, start_ms, learns=False)
    torch.set_num_threads(1)  # batches are small: two threads wait for each other more than work
    learner = WalkLearner(dataset, settings, asked, found.surfaces)
    walk = _Walk(dataset, settings, learner, asked, start_ms)
    began_s = time.monotonic()
    walk.run()
    return {
        **walk.report(),
        "data": dataset.name,
        "test_from_ms": start_ms,
        "every": asked.every,
        "top": asked.top,
        "items": len(dataset.items),
        "samples": walk.num_points,
        "train_samples": learner.num_learned,
        "seconds": time.monotonic() - began_s,
    }


class _Walk:
    """The pass: requests at points, and the figures of their slates."""

    def __init__(
        self,
        dataset: Dataset,
        settings: Settings,
        learner: WalkLearner,
        asked: AskedSlates,
        start_ms: int,
    ) -> None:
        self._asked, self._num_events = asked, dataset.num_events
        self._replica = WalkedReplica(dataset, settings, learner)
        self._points = Points(dataset, self._replica.row_of, start_ms)
        self._baselines = Baselines(len(self._replica.ids))
        self._beyond = Beyond(self._replica.catalogue)
        judged = JUDGED if self._points.tells_impressions else (NEXT,)
        self._figures = {name: Figures(asked.top) for name in judged}
        self._limit = settings.serving.max_candidates
        self._num_found: Counter[str] = Counter()  # of what came next, by source
        self._num_fitted: Counter[bool] = Counter()  # points before the test, by their case
        self._num_wanted = self._num_candidates = self.num_points = 0

    def run(self) -> None:
        """Walk through the log."""
        progress, row_of = Progress(self._num_events, "events"), self._replica.row_of
        for offset, event, visitor, point in self._points.steps():
            if point is not None:
                self._replica.visit(event.user_id, visitor)
                self._take(point)
            now_ms = event.event_time_ms
            rows, chosen = (
                [row for item_id in item_ids if (row := row_of.get(item_id, 0))]
                for item_ids in (had_of(event), positives(event))
            )
            self._baselines.add(now_ms, visitor, chosen)
            self._beyond.hear(now_ms, rows, chosen)
            self._replica.take(offset, event)
            progress.say(offset, "train" if not self.num_points else "test")

    def _take(self, point: Point) -> None:
        """Ask for slates at one of so many points, and before the test where weights are fitted."""
        if point.is_test:
            is_nth = self.num_points % self._asked.every == 0
            self.num_points += 1
            if is_nth or (point.is_first and FIRST in self._figures):
                self._ask(point, is_nth)
            return
        half = self._points.num_before_test / 2
        is_begin = not point.visitor.session
        if self._num_fitted[is_begin] < FITTED * (point.offset - half) / half:
            self._num_fitted[is_begin] += 1
            self._replica.slate(point, self._asked.top)
            self._replica.blend.learn(point.later_rows)

    def report(self) -> dict[str, Any]:
        """The figures: those of the log's own judgement, then of all.

        Where it tells impressions, they are ratings of what users came for by themselves, or of
        what somebody else's slates showed: what comes next is not what a slate would have changed.
        """
        judged = {name: figures.report() for name, figures in self._figures.items()}
        judged_by = LATER if LATER in judged else NEXT
        by_list = judged[judged_by]
        return {
            "judged_by": judged_by,
            "slates": by_list.get(SLATE, {}),
            "baselines": {
                name: {ALL: of[ALL]} for name, of in by_list.items() if name not in (SLATE, RANKER)
            },
            "sources": {
                quota.source.name: {
                    "quota": quota.of(self._limit),
                    "recall": _share(self._num_found[quota.source.name], self._num_wanted),
                }
                for quota in QUOTAS
            },
            f"recall_{self._limit}": _share(self._num_candidates, self._num_wanted),
            "blend": self._replica.blend.weights(),
            "judged": {
                name: {"of": JUDGED[name], "lists": of_lists} for name, of_lists in judged.items()
            },
            **self._beyond.report(),
        }

    def _ask(self, point: Point, is_nth: bool) -> None:
        context = self._replica.slate(point, self._asked.top)
        slate, blend = context.candidates.row_C.tolist(), self._replica.blend
        visitor, top = point.visitor, self._asked.top
        lists = {SLATE: slate, RANKER: blend.ranked_rows[:top].tolist()}
        lists |= self._baselines.tops(point.now_ms, visitor, top)
        if FIRST in self._figures and point.is_first:
            self._figures[FIRST].add(lists, point.later_rows, point.is_warm)
        if not is_nth:
            return
        self._figures[NEXT].add(lists, point.next_rows, point.is_warm)
        if LATER in self._figures:
            self._figures[LATER].add(lists, point.later_rows, point.is_warm)
        self._beyond.add(point.now_ms, slate, point.next_rows)
        self._count_found(context, point)

    def _count_found(self, context: RankContext, point: Point) -> None:
        """Count the next choices that sources found within their quotas, and that were ranked."""
        had = np.fromiter(point.visitor.had, np.int64, len(point.visitor.had))
        for quota in QUOTAS:
            row_N = context.found[quota.source.name]
            row_N = row_N[~np.isin(row_N, had)][: quota.of(self._limit)]
            self._num_found[quota.source.name] += len(point.next_rows.intersection(row_N.tolist()))
        ranked = {*context.candidates.row_C.tolist()}
        for removed in context.candidates.removed:
            if removed.reason == "outranked":
                ranked.update(removed.row_N.tolist())
        self._num_candidates += len(point.next_rows & ranked)
        self._num_wanted += len(point.next_rows)


def _share(part: float, whole: float) -> float | None:
    return round(part / whole, 5) if whole else None
