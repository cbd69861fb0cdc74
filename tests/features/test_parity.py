"""The batch path and the stream agree: on real logs, however the stream's steps fall."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from benchmarks.outside import NO_DATA, larger_data
from benchmarks.parity import compare_paths
from headrace.datasets.registry import load_dataset
from headrace.features.checks.parity import Agreement, Parity, kind_of
from headrace.features.table import FEATURES, ITEM_LAYOUT, USER_LAYOUT

NUM_EVENTS = 3_000
KUAIRAND = larger_data("kuairand")


def broken(parity: Parity) -> dict[str, Agreement]:
    return {
        f"{group} {name}": agreement
        for group, of_group in parity.groups.items()
        for name, agreement in of_group.items()
        if agreement.is_broken
    }


@pytest.mark.parametrize("num_partitions", [1, 4])
@pytest.mark.parametrize("name", ["movielens", "kuairand"])
def test_steps_of_any_size_make_the_same_features_as_large_batches(
    name: str, num_partitions: int
) -> None:
    if name == "kuairand" and not KUAIRAND:
        pytest.skip(NO_DATA)
    dataset = load_dataset(name, KUAIRAND if name == "kuairand" else None)
    parity = compare_paths(dataset, NUM_EVENTS, num_partitions, Random(num_partitions))
    assert not broken(parity)
    compared = {group: set(of_group) for group, of_group in parity.groups.items()}
    assert compared["last"] == {feature.name for feature in USER_LAYOUT.features}
    assert compared["merged"] >= {feature.name for feature in ITEM_LAYOUT.features}
    assert parity.groups["as of"]["item_click_rate"].compared == NUM_EVENTS
    assert parity.groups["as of"]["user_history"].compared == NUM_EVENTS


def test_counts_must_be_equal_and_fractions_nearly() -> None:
    found, expected = np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0 + 1e-7, 3.1])
    count, fraction = Agreement("count"), Agreement("float")
    count.add(found, expected)
    fraction.add(found, expected)
    assert (count.compared, count.mismatches, fraction.mismatches) == (3, 2, 1)
    assert fraction.max_error == pytest.approx(0.1 / 3.05)
    assert fraction.smape == pytest.approx((0.1 / 3.05 + 5e-8) / 3)


def test_large_keys_are_compared_as_they_are() -> None:
    agreement = Agreement("count")
    agreement.add(np.array([[2**62]]), np.array([[2**62 + 1]]))
    assert agreement.mismatches == 1


def test_a_value_on_one_side_only_is_missing_or_extra() -> None:
    agreement = Agreement("float")
    agreement.add(np.array([np.nan, 1.0, np.nan]), np.array([1.0, np.nan, np.nan]))
    assert (agreement.missing, agreement.extra, agreement.mismatches) == (1, 1, 0)
    assert agreement.is_broken


def test_every_feature_is_judged_but_sketches() -> None:
    kinds = {
        kind: {f.name for f in FEATURES if kind_of(f.name) == kind} for kind in ("sketch", "float")
    }
    assert kinds["sketch"] == {"category_top_items"}
    assert kinds["float"] == {
        *("item_click_rate_lately", "item_clicks_lately_log", "item_clicks_month_log")
    }
