"""Latencies: percentiles to five percent, and histograms that add up."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.metrics.latency import Latencies

durations_ms = st.lists(st.floats(0.011, 86_400_000), min_size=1, max_size=60)


def measured(durations: list[float]) -> Latencies:
    latencies = Latencies()
    for duration_ms in durations:
        latencies.add(duration_ms)
    return latencies


@settings(max_examples=60)
@given(durations_ms, st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]))
def test_a_percentile_is_within_five_percent(durations: list[float], share: float) -> None:
    exact_ms = float(np.percentile(durations, 100 * share, method="inverted_cdf"))
    assert measured(durations).percentile(share) == pytest.approx(exact_ms, rel=0.05)


def test_the_tail_of_many_is_within_five_percent() -> None:
    durations = np.random.default_rng(0).lognormal(3, 1, 5_000).tolist()
    latencies = measured(durations)
    for share in (0.5, 0.9, 0.95, 0.99, 0.999):
        exact_ms = float(np.quantile(durations, share))
        assert latencies.percentile(share) == pytest.approx(exact_ms, rel=0.06)
    assert len(latencies) == 5_000


@settings(max_examples=40)
@given(st.lists(durations_ms, max_size=4))
def test_merged_histograms_equal_one_of_everything(parts: list[list[float]]) -> None:
    merged = Latencies.merged(measured(part).to_pairs() for part in parts)
    whole = measured([duration for part in parts for duration in part])
    assert merged.to_pairs() == whole.to_pairs()
    assert len(merged) == sum(map(len, parts))


@settings(max_examples=60)
@given(st.lists(st.floats(-1e6, 1e12), max_size=60))
def test_many_at_once_are_as_many_one_by_one(durations: list[float]) -> None:
    at_once = Latencies()
    at_once.extend(durations)
    assert at_once.to_pairs() == measured(durations).to_pairs()


def test_buckets_count_what_their_bound_is_not_exceeded_by() -> None:
    durations = np.random.default_rng(0).lognormal(3, 2, 3_000)
    buckets = measured(durations.tolist()).buckets()
    bounds_ms = [bound_ms for bound_ms, _ in buckets]
    assert bounds_ms[0] < 1.5 and bounds_ms[-1] > 60_000
    assert all(later / earlier < 1.5 for earlier, later in pairwise(bounds_ms))
    for bound_ms, count in buckets:
        assert count == pytest.approx((durations <= bound_ms).sum(), abs=1)


def test_the_total_is_within_five_percent() -> None:
    durations = np.random.default_rng(0).lognormal(3, 1, 3_000)
    assert measured(durations.tolist()).total_ms == pytest.approx(durations.sum(), rel=0.05)
    assert Latencies().total_ms == 0


def test_the_pairs_pass_through_json() -> None:
    latencies = measured([1.0, 5.0, 5.0, 900.0])
    pairs = json.loads(json.dumps(latencies.to_pairs()))
    assert Latencies.merged([pairs]).to_pairs() == latencies.to_pairs()
    assert Latencies(dict(latencies.to_pairs())).percentile(0.5) == latencies.percentile(0.5)


def test_without_a_duration_there_is_no_percentile() -> None:
    assert math.isnan(Latencies().percentile(0.5)) and len(Latencies()) == 0


def test_durations_beyond_the_range_count_at_its_ends() -> None:
    assert measured([-50.0, 0.0]).percentile(1.0) == pytest.approx(0.01, rel=0.05)
    assert measured([1e12]).percentile(0.5) == pytest.approx(86_400_000, rel=0.1)
