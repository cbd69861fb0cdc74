"""Quality: null rates, means and drift of a view's numbers, in summaries that add up."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from headrace.features.checks.drift import (
    BYTES_PER_FEATURE,
    LARGE_SHIFT,
    NUM_BINS,
    NUM_TILES,
    REFERENCE_ROWS,
    SMALL_SHIFT,
    TILE_MS,
    Floats,
    Reference,
    Window,
    mean,
    merged,
    null_rate,
    psi,
    reference_of,
    summarize,
)

NOW_MS = 1_714_554_000_000

numbers = st.one_of(st.sampled_from([math.nan, 0.0, 0.5, 1.0]), st.floats(-1e3, 1e3, width=32))
tables = arrays(np.float32, st.tuples(st.integers(1, 40), st.just(3)), elements=numbers)


def normal(num: int, shift: float = 0.0, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(shift, 1.0, (num, 1)).astype(np.float32)


def column(*values: float) -> Floats:
    return np.array(values, np.float32)[:, None]


def drift(expected_NF: Floats, actual_NF: Floats) -> float:
    """The index of the only feature of two sets of rows."""
    reference = reference_of(expected_NF)
    return float(psi(reference["seen"], summarize(actual_NF, reference))[0])


def settled(reference: Reference) -> Window:
    window = Window(len(reference))
    window.compare_with(reference)
    return window


@settings(max_examples=80)
@given(tables, st.integers(0, 40))
def test_the_summaries_of_two_halves_merge_to_that_of_the_whole(table: Floats, cut: int) -> None:
    reference = reference_of(table[::-1])
    whole = summarize(table, reference)
    halves = merged([summarize(half, reference) for half in (table[:cut], table[cut:])], 3)
    for name in ("rows", "nulls", "bins"):
        assert np.array_equal(halves[name], whole[name])
    assert halves["sum"] == pytest.approx(whole["sum"], rel=1e-5, abs=1e-2)


@settings(max_examples=80)
@given(tables, tables)
def test_each_value_is_in_the_bin_of_the_edges_that_it_reaches(past: Floats, now: Floats) -> None:
    reference = reference_of(past)
    summary = summarize(now, reference)
    for place in range(3):
        known = [value for value in now[:, place] if not math.isnan(value)]
        edges = reference["edges"][place]
        expected = np.bincount([int((edges <= value).sum()) for value in known], minlength=NUM_BINS)
        assert np.array_equal(summary["bins"][place], expected)
        assert summary["nulls"][place] == len(now) - len(known)


@settings(max_examples=80)
@given(tables, tables)
def test_the_index_is_never_negative_and_the_same_both_ways(past: Floats, now: Floats) -> None:
    reference = reference_of(past)
    one, other = reference["seen"], summarize(now, reference)
    there_F, back_F = psi(one, other), psi(other, one)
    assert there_F == pytest.approx(back_F, nan_ok=True)
    assert not (there_F < 0).any()
    assert psi(one, one) == pytest.approx(np.where(np.isnan(psi(one, one)), np.nan, 0), nan_ok=True)


def test_the_index_is_the_published_formula() -> None:
    reference = reference_of(normal(1_000))
    one, other = reference["seen"], summarize(normal(700, 0.4, seed=1), reference)
    p, q = one["bins"][0] / 1_000, other["bins"][0] / 700
    by_hand = sum((a - b) * math.log(a / b) for a, b in zip(p, q, strict=True))
    assert psi(one, other)[0] == pytest.approx(by_hand)


def test_equal_distributions_differ_by_about_what_chance_makes() -> None:
    num, of = 1_000, 4_000
    indices = [drift(normal(of, seed=seed), normal(num, seed=100 + seed)) for seed in range(40)]
    assert np.mean(indices) == pytest.approx((NUM_BINS - 1) * (1 / num + 1 / of), rel=0.25)
    assert max(indices) < SMALL_SHIFT


def test_the_index_grows_with_the_shift_and_passes_the_usual_marks() -> None:
    indices = [drift(normal(5_000), normal(5_000, shift, seed=1)) for shift in (0, 0.2, 0.5, 1, 2)]
    assert indices == sorted(indices)
    assert indices[1] < SMALL_SHIFT < indices[2] < LARGE_SHIFT + 0.05 < indices[3]


@pytest.mark.parametrize("moved_to", [0.49, 0.51, np.nextafter(np.float32(0.5), np.float32(1))])
def test_a_constant_drifts_where_it_moves_and_only_there(moved_to: float) -> None:
    constant = column(*[0.5] * 100)
    assert drift(constant, constant[:10]) == 0
    assert drift(constant, column(*[moved_to] * 100)) > LARGE_SHIFT


def test_a_value_that_many_rows_have_keeps_a_bin_of_its_own() -> None:
    mostly_default = np.concatenate([column(*[0.5] * 600), normal(400)])
    moved = np.concatenate([column(*[0.6] * 600), normal(400)])
    assert drift(mostly_default, moved) > LARGE_SHIFT


def test_nulls_count_as_nulls_and_not_as_a_drift() -> None:
    half_null = normal(2_000)
    half_null[::2] = np.nan
    reference = reference_of(normal(2_000, seed=1))
    summary = summarize(half_null, reference)
    assert null_rate(summary)[0] == 0.5
    assert mean(summary)[0] == pytest.approx(np.nanmean(half_null))
    assert psi(reference["seen"], summary)[0] < SMALL_SHIFT


def test_a_feature_without_values_has_no_mean_and_no_drift() -> None:
    nothing = column(*[math.nan] * 10)
    reference = reference_of(nothing)
    summary = summarize(nothing, reference)
    assert null_rate(summary)[0] == 1
    assert np.isnan([mean(summary)[0], psi(reference["seen"], summary)[0]]).all()
    assert math.isnan(drift(nothing, normal(10)))


def test_an_empty_window_knows_nothing() -> None:
    summary = Window(2).summary(NOW_MS)
    assert (summary["rows"] == 0).all()
    assert np.isnan([null_rate(summary), mean(summary), psi(summary, summary)]).all()


def test_a_window_forgets_what_is_older_than_its_tiles() -> None:
    window = settled(reference_of(normal(100)))
    window.add(normal(30), NOW_MS)
    window.add(normal(20), NOW_MS + 4 * TILE_MS)
    assert window.summary(NOW_MS + 4 * TILE_MS)["rows"][0] == 50
    assert window.summary(NOW_MS + NUM_TILES * TILE_MS)["rows"][0] == 20
    window.add(normal(1), NOW_MS + NUM_TILES * TILE_MS)
    assert window.summary(NOW_MS + NUM_TILES * TILE_MS)["rows"][0] == 21
    assert window.summary(NOW_MS + 20 * TILE_MS)["rows"][0] == 0


def test_the_first_rows_become_the_reference_that_the_later_are_compared_with() -> None:
    window, rows = Window(1), normal(REFERENCE_ROWS + 500)
    window.add(rows[:1_500], NOW_MS)
    assert window.proposal() is None
    window.add(rows[1_500:], NOW_MS)
    proposal = window.proposal()
    assert proposal is not None
    assert proposal.tobytes() == reference_of(rows[:REFERENCE_ROWS]).tobytes()
    assert not window.summary(NOW_MS)["bins"].any()
    window.compare_with(proposal)
    assert window.proposal() is None
    window.add(normal(800, 1.0, seed=1), NOW_MS)
    assert psi(proposal["seen"], window.summary(NOW_MS))[0] > LARGE_SHIFT


def test_another_reference_empties_the_bins_and_the_same_one_does_not() -> None:
    nan_edges = np.full((10, 1), np.nan, np.float32)
    for reference in (reference_of(normal(100)), reference_of(nan_edges)):
        window = settled(reference)
        window.add(normal(50, seed=1), NOW_MS)
        window.compare_with(reference.copy())
        assert window.summary(NOW_MS)["bins"].sum() == 50
        window.compare_with(reference_of(normal(100, seed=2)))
        assert window.summary(NOW_MS)["bins"].sum() == 0
        assert window.summary(NOW_MS)["rows"][0] == 50


def test_without_a_reference_again_a_new_one_is_collected() -> None:
    window = settled(reference_of(normal(100)))
    window.add(normal(REFERENCE_ROWS), NOW_MS)
    window.compare_with(None)
    assert window.proposal() is None
    rows = normal(REFERENCE_ROWS, 3.0, seed=1)
    window.add(rows, NOW_MS)
    proposal = window.proposal()
    assert proposal is not None and proposal.tobytes() == reference_of(rows).tobytes()


def test_a_summary_has_the_same_size_whatever_it_saw() -> None:
    assert {summarize(normal(num), None).nbytes for num in (1, 5_000)} == {BYTES_PER_FEATURE}
