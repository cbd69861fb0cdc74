"""What an evaluation tells of predictions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_log import impression

from headrace.evaluation.files.visibility import Observed
from headrace.evaluation.quality import Quality
from headrace.evaluation.row import TEST
from headrace.features.inputs import NUM_DENSE, RequestFeatures
from headrace.keys import key
from headrace.metrics.grouped import GroupedScores, user_day

NOTHING = RequestFeatures(np.zeros((1, NUM_DENSE), np.float32), np.zeros((3, 64), np.int64))

HOUR_MS = 3_600_000

Row = tuple[int, int, bool, float]  # hours, user, clicked, probability


@given(
    st.lists(st.tuples(st.integers(0, 72), st.integers(0, 2), st.booleans(), st.floats(0.1, 0.9))),
    st.integers(1, 9),
)
def test_gauc_is_within_each_user_and_day(rows: list[Row], size: int) -> None:
    rows = sorted(rows)
    seen = [
        Observed(
            impression(hours * HOUR_MS, user, 0, clicked, TEST),
            (),
            NOTHING,
            NOTHING,
            hours // 24,
            0,
            0,
        )
        for hours, user, clicked, _ in rows
    ]
    p_N1 = np.array([[p] for *_, p in rows], np.float32).reshape(-1, 1)
    quality, expected = Quality(["is_click"]), GroupedScores()
    for start in range(0, len(rows), size):
        part = slice(start, start + size)
        quality.add(seen[part], np.full_like(p_N1[part], 0.5), p_N1[part])
    if rows:
        user_N = np.array([key(f"{user}") for _, user, _, _ in rows])
        day_N = np.array([row.day for row in seen])
        label_N = np.array([float(clicked) for _, _, clicked, _ in rows])
        expected.add(user_day(user_N, day_N), p_N1[:, 0].astype(np.float64), label_N)
    gauc = quality.report()["labels"]["is_click"]["gauc"]
    assert gauc == (None if np.isnan(expected.gauc) else pytest.approx(expected.gauc, abs=1e-5))
