"""Candidates: each knows its sources, each that was removed its reason, columns stay in step."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.pipeline.candidates import ABSENT, Candidates


def five() -> Candidates:
    rank_SC = np.array([[0, 1, ABSENT, ABSENT, 2], [ABSENT, 2, 0, 1, ABSENT]], np.int32)
    return Candidates(("best", "new"), np.array([11, 12, 13, 14, 15]), rank_SC)


def scored() -> Candidates:
    made = five()
    made.p_CJ = np.linspace(0.1, 0.5, 5, dtype=np.float32)[:, None]
    made.score_C = made.p_CJ[:, 0] * 2
    made.dense_CF = np.arange(10, dtype=np.float32).reshape(5, 2)
    return made


def test_a_candidate_knows_all_of_its_sources_and_its_rank_in_each() -> None:
    candidates = five()
    assert [candidates.sources_of(place) for place in range(5)] == [
        ("best",),
        ("best", "new"),
        ("new",),
        ("new",),
        ("best",),
    ]
    assert candidates.rank_in("new").tolist() == [ABSENT, 2, 0, 1, ABSENT]
    assert candidates.rank_in("neither").tolist() == [ABSENT] * 5


def test_what_a_mask_leaves_out_is_removed_for_the_reason() -> None:
    candidates = five()
    candidates.keep(np.array([True, False, True, True, False]), "seen")
    candidates.keep(np.array([True, True, False]), "sold_out")
    assert candidates.row_C.tolist() == [11, 13] and len(candidates) == 2
    assert [candidates.sources_of(place) for place in (0, 1)] == [("best",), ("new",)]
    reasons = {row: candidates.reason_of(row) for row in range(11, 16)}
    assert reasons == {11: None, 12: "seen", 13: None, 14: "sold_out", 15: "seen"}


def test_places_put_candidates_in_their_order_and_remove_the_others() -> None:
    candidates = five()
    candidates.keep(np.array([4, 0, 2]), "outranked")
    assert candidates.row_C.tolist() == [15, 11, 13]
    assert candidates.rank_in("best").tolist() == [2, 0, ABSENT]
    assert [(one.reason, one.row_N.tolist()) for one in candidates.removed] == [
        ("outranked", [12, 14])
    ]


@pytest.mark.parametrize("kept", [np.array([3, 1]), np.array([False, True, False, True, False])])
def test_the_columns_of_a_candidate_stay_together(kept: np.ndarray) -> None:
    candidates = scored()
    candidates.keep(kept, "outranked")
    assert candidates.p_click_C is not None and candidates.score_C is not None
    assert candidates.dense_CF is not None
    for row, p_click, score, dense in zip(
        candidates.row_C, candidates.p_click_C, candidates.score_C, candidates.dense_CF, strict=True
    ):
        place = row - 11
        assert (p_click, score) == pytest.approx((0.1 * (place + 1), 0.2 * (place + 1)))
        assert dense.tolist() == [2 * place, 2 * place + 1]


def test_who_keeps_everybody_removes_nobody() -> None:
    candidates = five()
    candidates.keep(np.ones(5, np.bool_), "seen")
    candidates.keep(np.arange(5)[::-1], "shuffled")
    assert candidates.row_C.tolist() == [15, 14, 13, 12, 11] and candidates.removed == []


def test_all_may_be_removed() -> None:
    candidates = scored()
    candidates.keep(np.zeros(0, np.int64), "sold_out")
    assert len(candidates) == 0 and candidates.reason_of(13) == "sold_out"


def test_one_source_may_propose_a_row_twice_as_two_campaigns_do() -> None:
    candidates = Candidates.of("campaigns", np.array([7, 3, 7]))
    candidates.keep(np.array([2, 1]), "outbid")
    assert candidates.row_C.tolist() == [7, 3]
    assert candidates.rank_in("campaigns").tolist() == [2, 1]
