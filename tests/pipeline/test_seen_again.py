"""The policies of seen items: who is shown an item again, when, and what a short slate says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from request_path import NOW_MS, request, user_who

from headrace.application.seen import SeenPolicy
from headrace.event import Shown
from headrace.features.inputs import HISTORY_LENGTH
from headrace.features.store.last_items import LENGTHS, USER_SHOWN
from headrace.features.store.seen_sketch import DAY_MS, USER_SEEN, decode_sketch, encode_sketch
from headrace.keys import key
from headrace.pipeline.candidates import Candidates
from headrace.pipeline.context import Context, User
from headrace.pipeline.filters.excluded import Excluded
from headrace.pipeline.filters.seen import Seen
from headrace.pipeline.rerank.outranked import Outranked
from headrace.pipeline.rerank.seen_last import SeenLast
from headrace.pipeline.shortfall import shortfall
from headrace.pipeline.stage import Rules

MINUTE_MS = 60_000
ALWAYS = SeenPolicy(policy="always")
STRICT = SeenPolicy(strict=True)
OUTCOMES = pytest.mark.parametrize("clicked", [None, False, True])


def shown(*numbers: int, clicked: bool | None = None) -> User:
    """A user who was shown these items, one a minute, the last one a minute ago."""
    return user_who(*(Shown(f"i{n}", clicked=clicked) for n in numbers))


def slate(policy: SeenPolicy, user: User, **asked: object) -> Context:
    """A request to which the filters and re-rankers were applied; all twelve items trend."""
    asked = {"num_items": 5, **asked}
    context = request(candidates=Candidates.of("trending", np.arange(1, 13)), user=user, **asked)
    Rules(Excluded(), Seen(policy, 500))(context)
    Rules(SeenLast(), Outranked())(context)
    return context


def rows(policy: SeenPolicy, user: User, **asked: object) -> list[int]:
    listed: list[int] = slate(policy, user, **asked).candidates.row_C.tolist()
    return listed


@OUTCOMES
def test_an_impression_hides_its_item_whether_its_outcome_is_known_or_open(
    clicked: bool | None,
) -> None:
    assert rows(SeenPolicy(), shown(1, 3, 5, clicked=clicked)) == [2, 4, 6, 7, 8]
    assert rows(ALWAYS, shown(1, 3, 5, clicked=clicked)) == [1, 2, 3, 4, 5]


@OUTCOMES
def test_after_its_time_an_item_comes_again(clicked: bool | None) -> None:
    user = shown(1, 2, 3, 4, clicked=clicked)  # 4, 3, 2 and 1 minutes ago
    assert rows(SeenPolicy(policy="after", after_s=150), user) == [1, 2, 5, 6, 7]
    assert rows(SeenPolicy(policy="after", after_s=120), user) == [1, 2, 3, 5, 6]
    assert rows(SeenPolicy(policy="after", after_s=241), user) == [5, 6, 7, 8, 9]
    later = {"now_ms": NOW_MS + 60 * MINUTE_MS}
    assert rows(SeenPolicy(policy="after", after_s=241), user, **later) == [1, 2, 3, 4, 5]


def test_the_newest_of_several_times_counts() -> None:
    policy = SeenPolicy(policy="after", after_s=90)
    assert rows(policy, shown(1, 2, 1)) == [2, 3, 4, 5, 6]


def test_what_the_history_has_forgotten_comes_again() -> None:
    gone = (Shown(f"gone{n}", clicked=True) for n in range(63))
    user = user_who(*(Shown(f"i{n}", clicked=True) for n in (1, 2)), *gone)
    assert rows(SeenPolicy(), user) == [1, 3, 4, 5, 6]


def test_where_all_was_seen_the_items_seen_longest_ago_come_first_and_are_marked() -> None:
    context = slate(SeenPolicy(), shown(*range(12, 0, -1)))
    assert context.candidates.row_C.tolist() == [12, 11, 10, 9, 8]
    assert [*context.seen_again] == [12, 11, 10, 9, 8]
    assert shortfall(context) == ("seen_again",)


def test_seen_items_fill_up_behind_those_that_were_not_seen() -> None:
    context = slate(SeenPolicy(), shown(3, 1, 2, 4, 5, 6, 7, 8, 9, 10))
    assert context.candidates.row_C.tolist() == [11, 12, 3, 1, 2]
    assert shortfall(context) == ("seen_again",)


def test_a_slate_that_is_full_has_no_seen_items_and_no_mark() -> None:
    context = slate(SeenPolicy(), shown(*range(1, 8)))
    assert context.candidates.row_C.tolist() == [8, 9, 10, 11, 12]
    assert shortfall(context) == ()


def test_a_strict_policy_leaves_a_slate_short_and_says_why() -> None:
    context = slate(STRICT, shown(*range(1, 11)))
    assert context.candidates.row_C.tolist() == [11, 12] and not context.seen_again
    assert shortfall(context) == ("all_seen",)
    assert shortfall(slate(STRICT, shown(*range(1, 13)))) == ("all_seen",)


def test_what_a_request_excludes_never_comes_back() -> None:
    exclude = tuple(f"i{n}" for n in range(1, 11))
    context = slate(SeenPolicy(), shown(*range(1, 13)), exclude=exclude)
    assert context.candidates.row_C.tolist() == [11, 12]
    assert shortfall(context) == ("seen_again", "all_excluded")
    assert shortfall(slate(ALWAYS, User(), exclude=exclude)) == ("all_excluded",)


def test_a_shop_with_fewer_items_than_are_wanted_says_so() -> None:
    assert shortfall(slate(ALWAYS, User(), num_items=13)) == ("no_more_items",)
    assert shortfall(slate(ALWAYS, User(), num_items=12)) == ()


def test_no_more_items_come_back_than_are_ranked() -> None:
    context = request(
        candidates=Candidates.of("trending", np.arange(1, 13)),
        user=shown(*range(1, 13)),
        num_items=10,
    )
    Rules(Seen(SeenPolicy(), 3))(context)
    assert context.candidates.row_C.tolist() == [1, 2, 3]


def test_a_filter_says_how_many_items_it_may_remove() -> None:
    assert Seen(ALWAYS, 500).most == 0
    assert Seen(SeenPolicy(), 500).most >= HISTORY_LENGTH + LENGTHS[USER_SHOWN]


def test_after_a_purchase_only_what_was_bought_is_left_out() -> None:
    """In a table of actions that has `purchase`, in a process of its own."""
    script = Path(__file__).with_name("after_purchase.py")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "never_again": [7, 8, 9, 10, 11],
        "after_purchase": [1, 3, 4, 6, 7],
        "after_purchase:strict": [1, 3, 4, 6, 7],
    }


def sketched(*seen: tuple[int, int]) -> User:
    """A user who was shown these items so many days ago, before those of his lists."""
    keys = np.array([key(f"i{n}") for n, _ in seen])
    times_ms = np.array([NOW_MS - days * DAY_MS for _, days in seen])
    return User(lists={USER_SEEN: decode_sketch(encode_sketch(keys, times_ms))})


def test_what_was_seen_before_the_lists_is_left_out_too_and_comes_back_last() -> None:
    user = sketched((1, 40), (3, 10), (5, 20))
    assert rows(SeenPolicy(), user) == [2, 4, 6, 7, 8]
    assert rows(SeenPolicy(), user, num_items=12) == [2, 4, 6, 7, 8, 9, 10, 11, 12, 1, 5, 3]
    assert rows(STRICT, user, num_items=12) == [2, 4, 6, 7, 8, 9, 10, 11, 12]
    assert rows(ALWAYS, user) == [1, 2, 3, 4, 5]


def test_a_sketch_knows_days_so_a_pause_may_end_a_day_early_and_never_late() -> None:
    user = sketched((1, 3), (2, 9))
    for days, left in ((1, [1, 2]), (3, [1, 2]), (5, [2]), (12, [])):
        policy = SeenPolicy(policy="after", after_s=86_400 * days)
        assert [row for row in rows(policy, user) if row < 3] == left
