"""The logged impressions of a dataset: those that tell propensity and click."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from headrace.catalogue.item import Dataset
from headrace.errors import DatasetError
from headrace.event import POSITION_UNKNOWN, ImpressionEvent
from headrace.keys import key
from headrace.metrics.off_policy import LoggedImpressions

Row = tuple[int, int, int, int, float, float]
NOT_NAMED = "not named"


def logged_impressions(dataset: Dataset) -> LoggedImpressions:
    """The impressions of a dataset; raises `DatasetError` where none tells its propensity."""
    policies: Counter[str] = Counter()
    rows = list(_rows(dataset, policies))
    if not rows:
        raise DatasetError(
            f"{dataset.name}: no impression has a propensity and tells whether it was clicked; "
            "expected impressions that headrace served, or a log with propensities"
        )
    item, position, request, user, reward, propensity = zip(*rows, strict=True)
    return LoggedImpressions(
        item_N=np.array(item, np.int64),
        position_N=np.array(position, np.int64),
        request_N=np.array(request, np.int64),
        user_N=np.array(user, np.int64),
        reward_N=np.array(reward, np.float64),
        propensity_N=np.array(propensity, np.float64),
        policies=policies,
    )


def _rows(dataset: Dataset, policies: Counter[str]) -> Iterator[Row]:
    for event in dataset.events():
        if not isinstance(event, ImpressionEvent):
            continue
        about = key(event.request_id), key(event.user_id)
        for shown in event.items:
            if shown.propensity is not None and shown.clicked is not None:
                place = POSITION_UNKNOWN if shown.position is None else shown.position
                policies[event.policy.text if event.policy else NOT_NAMED] += 1
                yield key(shown.item_id), place, *about, float(shown.clicked), shown.propensity
