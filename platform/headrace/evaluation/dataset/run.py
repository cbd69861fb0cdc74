"""A dataset evaluated: one pass over its events, by a learner of its own or a published version."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import torch

from headrace.action import CLICK
from headrace.catalogue.item import Dataset
from headrace.catalogue.vectors import ContentVectors
from headrace.catalogue.words import ContentTable
from headrace.config import Settings
from headrace.evaluation.dataset.asked import Asked
from headrace.evaluation.dataset.cases import Case, Cases, Terms
from headrace.evaluation.dataset.evaluation import CaseEvaluation
from headrace.evaluation.dataset.next_items_run import evaluate_next_items
from headrace.evaluation.dataset.published import (
    PublishedEvaluation,
    PublishedVersion,
    find_version,
)
from headrace.evaluation.dataset.survey import (
    Survey,
    check_classes,
    check_labels,
    survey,
    test_start_ms,
)
from headrace.evaluation.days import Days
from headrace.evaluation.progress import with_progress
from headrace.evaluation.progressive import ranker_config
from headrace.evaluation.quality import Measures, Quality
from headrace.evaluation.row import TEST, batches_of
from headrace.registry.manifest import Manifest


class Taking(Protocol):
    """An evaluator: takes batches of cases, in the order of time, and keeps the quality of its
    predictions. A learner, or a published version with fixed weights."""

    quality: Quality

    def take(self, rows: Sequence[Case], /) -> None: ...


def evaluate(dataset: Dataset, settings: Settings, asked: Asked) -> dict[str, Any]:
    """The evaluation report: the metrics of the test, the dataset, its split, and the run time."""
    if asked.labels:
        check_labels(asked.labels)
    number = asked.model_version
    manifest = None if number is None else find_version(settings, number)
    days = Days(settings.time_zone or dataset.time_zone)
    start_ms = test_start_ms(dataset, asked.test_from_ms, asked.test_share)
    found = survey(dataset, start_ms, learns=manifest is None)
    heads = _heads(manifest, settings)
    asked = _with_labels(asked, dataset.name, heads, found)
    items = {item.item_id: item for item in dataset.items}
    content = ContentTable(items, ContentVectors.of(settings))
    torch.set_num_threads(1)  # batches are small: two threads wait for each other more than work
    version = None if manifest is None else PublishedVersion(manifest, content)
    of_log = {"data": dataset.name, "test_from_ms": start_ms, "time_zone": days.time_zone}
    if not found.num_test:
        return evaluate_next_items(dataset, settings, asked, found, content, version) | of_log
    evaluation: Taking
    if version is None:
        evaluation = _learner(asked, found, content)
    else:
        evaluation = PublishedEvaluation(version, asked.labels)
    measures = Measures(asked.top, asked.threshold, not found.shows_lists, asked.num_draws)
    evaluation.quality = Quality(asked.labels, measures)
    terms = Terms(asked.labels, found.test_ms, days, asked.frozen_features)
    cases, started_s, num_choices = Cases(dataset, settings, terms), time.monotonic(), 0
    for batch in with_progress(batches_of(cases), found.num_impressions):
        evaluation.take(batch)
        num_choices += sum(case.split == TEST and bool(case.sample.log_q) for case in batch)
    seconds = time.monotonic() - started_s
    return {
        **evaluation.quality.report(),
        **of_log,
        "samples": found.num_test,
        "choices": num_choices,
        "train_samples": found.num_train,
        "seconds": seconds,
    }


def _heads(manifest: Manifest | None, settings: Settings) -> Sequence[str]:
    """The actions that the version predicts, or that a trainer with these settings would."""
    if manifest is None:
        return settings.training.heads
    return [head.name for head in manifest.model.scalar_heads]


def _with_labels(asked: Asked, name: str, heads: Sequence[str], found: Survey) -> Asked:
    """The labels as asked for; else the click, and the other predicted actions that the test can
    judge. Raises an error for labels that it cannot."""
    others = [head for head in heads if head != CLICK and found.has_both(head)]
    asked = replace(asked, labels=asked.labels or (CLICK, *others))
    if found.num_test:
        check_classes(name, found, asked.labels)
    return asked


def _learner(asked: Asked, found: Survey, content: ContentTable) -> CaseEvaluation:
    config = ranker_config(asked.size, asked.labels, found.surfaces, content.vectors.widths)
    regime = asked.online, asked.publish_every_ms
    return CaseEvaluation(config, asked.labels, content, asked.seed, *regime)
