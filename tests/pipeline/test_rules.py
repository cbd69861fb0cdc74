"""Each filter and re-ranker alone: what it keeps, in which order, and why it removes the rest."""

from __future__ import annotations

import numpy as np
import pytest
from request_path import clicked, request, user_who

from headrace.application.seen import SeenPolicy
from headrace.event import Shown
from headrace.pipeline.candidates import ABSENT, Candidates
from headrace.pipeline.context import Context
from headrace.pipeline.filters.excluded import Excluded
from headrace.pipeline.filters.over_quota import OverQuota
from headrace.pipeline.filters.seen import Seen
from headrace.pipeline.rerank.outranked import Outranked
from headrace.pipeline.sources import Quota
from headrace.pipeline.stage import Rule, Rules
from headrace.retrieval.best_categories import BestCategories
from headrace.retrieval.trending import Trending

QUOTAS = (Quota(BestCategories(3), share=0.5), Quota(Trending()))


def after(rule: Rule, **asked: object) -> Candidates:
    """The candidates 1 to 6 of a request after a rule."""
    context = request(candidates=Candidates.of("trending", np.arange(1, 7)), **asked)
    Rules(rule)(context)
    return context.candidates


def test_seen_removes_what_the_user_was_shown_clicked_or_not() -> None:
    shown = user_who(Shown("i2", clicked=True), Shown("i5", clicked=False), Shown("unknown"))
    left = after(Seen(SeenPolicy(), 500), user=shown)
    assert left.row_C.tolist() == [1, 3, 4, 6]
    assert left.reason_of(2) == left.reason_of(5) == "seen"


def test_seen_removes_nothing_for_somebody_new() -> None:
    assert after(Seen(SeenPolicy(), 500)).row_C.tolist() == [1, 2, 3, 4, 5, 6]


def test_excluded_removes_what_the_request_names_and_knows_no_strangers() -> None:
    left = after(Excluded(), exclude=("i3", "i12", "nothing"))
    assert left.row_C.tolist() == [1, 2, 4, 5, 6] and left.reason_of(3) == "excluded"
    assert left.reason_of(12) is None  # it was no candidate


def test_outranked_keeps_as_many_as_are_wanted() -> None:
    left = after(Outranked(), num_items=2)
    assert left.row_C.tolist() == [1, 2] and left.reason_of(6) == "outranked"
    assert len(after(Outranked(), num_items=100)) == 6


def of_both(context: Context) -> Candidates:
    """Rows 1 to 8 trend in this order; 7, 8, 2 and 1 are of the best categories."""
    rank_SC = np.full((2, 8), ABSENT, np.int32)
    rank_SC[0, [6, 7, 1, 0]] = range(4)
    rank_SC[1] = range(8)
    return Candidates(("best_categories", "trending"), np.arange(1, 9), rank_SC)


@pytest.mark.parametrize(
    ("limit", "kept"),
    [(4, [7, 8, 1, 2]), (6, [7, 8, 2, 1, 3, 4]), (3, [7, 1, 2]), (1, [1]), (0, [])],
)
def test_over_quota_lets_each_source_give_its_share_and_the_last_fill_up(
    limit: int, kept: list[int]
) -> None:
    context = request()
    context.candidates = of_both(context)
    Rules(OverQuota(QUOTAS, limit))(context)
    assert context.candidates.row_C.tolist() == kept
    gone = {row for row in range(1, 9) if context.candidates.reason_of(row) == "over_quota"}
    assert gone == set(range(1, 9)) - set(kept)


def test_what_another_filter_removed_takes_no_place_of_a_quota() -> None:
    context = request(user=clicked("i7"))
    context.candidates = of_both(context)
    Rules(Seen(SeenPolicy(), 500), OverQuota(QUOTAS, 4))(context)
    assert context.candidates.row_C.tolist() == [8, 2, 1, 3]
    assert context.candidates.reason_of(7) == "seen"


def test_a_source_that_is_not_there_leaves_its_places_to_the_others() -> None:
    assert after(OverQuota(QUOTAS, 4)).row_C.tolist() == [1, 2, 3, 4]
