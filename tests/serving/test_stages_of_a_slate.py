"""A slate without servers: its candidates, their sources, why the others are not in it, its marks.

The stages are those of `serving.recommend`; the store is a dictionary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from request_path import CATALOGUE, NOW_MS, clicked, request, user_who

from headrace import event
from headrace.api.slate import RecommendRequest
from headrace.application.exploration import Exploration
from headrace.application.sections import Application
from headrace.application.seen import SeenPolicy
from headrace.errors import StoreUnavailable
from headrace.event import ImpressionEvent, Shown
from headrace.features.inputs import HISTORY_LENGTH, NUM_DENSE
from headrace.features.rows.state_row import blank_rows, encode_rows
from headrace.features.schema import INPUT_SCHEMA
from headrace.features.store.last_items import EMPTY, USER_SHOWN
from headrace.features.table import ITEM_LAYOUT, USER_LAYOUT
from headrace.pipeline.context import NO_TIME, Context, User
from headrace.pipeline.exploration.explore import policy_of
from headrace.pipeline.run import run
from serving.recommend import Recommender, stages
from serving.replica.snapshot import Snapshot
from serving.replica.state_pages import StatePages
from serving.stages.hydrate import Hydrate

SOURCES = {"neighbours": 0.5, "covisited": 0.25, "best_categories": 0.25, "trending": 1.0}
APPLICATION = Application(sources=SOURCES)
UNRANKED = Snapshot((), StatePages(ITEM_LAYOUT, 13).states, np.arange(1, 13))


@dataclass(frozen=True)
class Stored:
    rows: list[bytes | None]
    attributes: list[tuple[str, ...]]
    lists: dict[str, list[Any]]


@dataclass
class Store:
    """Users by their ids; it may be away."""

    users: Mapping[str, User] = field(default_factory=dict)
    is_away: bool = False

    def read_users(self, user_ids: Sequence[str], lists: Sequence[str] = ()) -> Stored:
        if self.is_away:
            raise StoreUnavailable("silent")
        users = [self.users.get(one, User()) for one in user_ids]
        read = {name: [user.lists.get(name, EMPTY) for user in users] for name in lists}
        return Stored([self._row(one) for one in user_ids], [() for _ in user_ids], read)

    def _row(self, user_id: str) -> bytes | None:
        if user_id not in self.users:
            return None
        rows = blank_rows(USER_LAYOUT, 1)
        rows["state"] = self.users[user_id].state_1
        return encode_rows(rows)[0]


def slate(store: Store, *marks: str, **asked: Any) -> tuple[Any, ImpressionEvent | None]:
    recommender = Recommender(
        Hydrate(store, lists=(USER_SHOWN,)), CATALOGUE, 8, application=APPLICATION
    )
    return recommender.recommend(RecommendRequest("ann", **asked), UNRANKED, NOW_MS, marks)


def ids(slate: Any) -> list[str]:
    return [item.item_id for item in slate.items]


def before_the_rank(max_candidates: int, **asked: Any) -> Context:
    """A request after its sources, merge and filters, none of which reads a replica."""
    context = request(**asked)
    every = stages(Hydrate(Store()), max_candidates, SeenPolicy(strict=True), APPLICATION)
    picked = [one for one in every if one.name in PICKED]
    run(picked, context)
    return context


PICKED = ("sources", "merge", "filters")


def test_a_quarter_of_the_candidates_are_of_the_best_categories_and_the_rest_trend() -> None:
    found = before_the_rank(8, user=clicked("i11", "i8")).candidates  # pens
    assert found.row_C.tolist() == [2, 5, 1, 3, 4, 6, 7, 9]
    assert [found.sources_of(place) for place in range(4)] == [
        ("best_categories", "trending"),
        ("best_categories", "trending"),
        ("trending",),
        ("trending",),
    ]


def test_what_is_not_ranked_has_a_reason() -> None:
    asked = {"user": clicked("i2", "i8"), "exclude": ("i1", "i5")}
    found = before_the_rank(4, **asked).candidates
    assert found.row_C.tolist() == [11, 3, 4, 6]
    reasons = {row: found.reason_of(row) for row in (1, 2, 5, 7, 8)}
    assert reasons == {1: "excluded", 2: "seen", 5: "excluded", 7: "over_quota", 8: "seen"}


@settings(max_examples=60)
@given(
    st.permutations(range(1, 13)),
    st.lists(st.tuples(st.integers(1, 13), st.booleans()), max_size=8),
    st.lists(st.integers(1, 14), max_size=14),
    st.integers(0, 13),
)
def test_the_candidates_are_as_told_one_by_one(
    trending: list[int], past: list[tuple[int, bool]], excluded: list[int], limit: int
) -> None:
    user = user_who(*(Shown(f"i{n}", clicked=done) for n, done in past)) if past else User()
    asked = {"trending": trending, "user": user, "exclude": tuple(f"i{n}" for n in excluded)}
    found = before_the_rank(limit, **asked).candidates

    hidden = {n for n, _ in past} | {*excluded}
    free = [row for row in trending if row not in hidden]
    rates_K = USER_LAYOUT.value("user_category_rates", user.state_1, NO_TIME)[0]
    liked = {slot for slot in np.argsort(-rates_K)[:3].tolist() if rates_K[slot] > 0}
    slots = {row: {*CATALOGUE.slots(np.array([row]))[0].tolist()} for row in free}
    chosen = [row for row in free if liked & slots[row]][: limit // 4]
    chosen += [row for row in free if row not in chosen][: limit - len(chosen)]
    assert found.row_C.tolist() == chosen
    reasons = {row: found.reason_of(row) for row in range(1, 13)}
    assert {row for row, reason in reasons.items() if reason in ("seen", "excluded")} <= hidden


def test_without_a_model_a_slate_has_what_trends_and_says_so() -> None:
    answer, _ = slate(Store({"ann": clicked("i11")}), num_items=3, exclude=("i1",))
    assert ids(answer) == ["i2", "i5", "i3"]
    assert answer.degraded == ("no_model",) and answer.model_version == 0
    assert all(item.p_click is None and item.score is None for item in answer.items)
    assert [item.position for item in answer.items] == [0, 1, 2]


def test_where_the_store_is_away_the_user_is_taken_for_a_new_one() -> None:
    store = Store({"ann": clicked("i11")}, is_away=True)
    answer, _ = slate(store, "stale_model", "no_log", num_items=3)
    assert ids(answer) == ["i1", "i2", "i3"]
    assert answer.degraded == ("no_features", "no_model", "stale_model", "no_log")


def test_who_has_seen_the_whole_shop_gets_a_slate_of_what_he_saw_longest_ago() -> None:
    """Shown live, with the outcomes open; a strict policy says that there is nothing else."""
    store = Store({"ann": user_who(*(Shown(f"i{n}") for n in range(12, 0, -1)))})
    answer, impression = slate(store, num_items=3)
    assert ids(answer) == ["i12", "i11", "i10"] and impression is not None
    assert answer.degraded == ("no_model", "seen_again")
    assert [item["seen_again"] for item in msgspec.to_builtins(answer)["items"]] == [True] * 3

    hydrate = Hydrate(store, lists=(USER_SHOWN,))
    strict = Recommender(hydrate, CATALOGUE, 8, SeenPolicy(strict=True))
    empty, unseen = strict.recommend(RecommendRequest("ann"), UNRANKED, NOW_MS)
    assert empty.items == () and empty.degraded == ("no_model", "all_seen") and unseen is None


def test_an_item_that_was_not_seen_says_nothing_of_it() -> None:
    answer, _ = slate(Store({"ann": clicked("i1")}), num_items=2)
    assert all("seen_again" not in item for item in msgspec.to_builtins(answer)["items"])
    assert answer.degraded == ("no_model",)


def test_an_impression_has_the_items_of_the_slate_and_what_the_ranker_read() -> None:
    answer, impression = slate(Store({"ann": clicked("i11")}), num_items=3, surface="search")
    assert impression is not None and impression.served is not None
    assert impression.request_id == impression.event_id == answer.request_id
    assert impression.items == tuple(
        Shown(item.item_id, item.position, propensity=1.0) for item in answer.items
    )
    assert (impression.surface, impression.event_time_ms) == ("search", NOW_MS)
    assert impression.served.schema == INPUT_SCHEMA
    assert len(impression.served.dense) == 3 * NUM_DENSE * 4
    assert len(impression.served.history) == 3 * HISTORY_LENGTH * 8


def test_an_impression_tells_the_policy_and_the_propensity_of_each_item() -> None:
    hydrate = Hydrate(Store(), lists=(USER_SHOWN,))
    shop = Application(exploration=Exploration("epsilon_greedy", epsilon=0.5))
    recommender = Recommender(hydrate, CATALOGUE, 8, application=shop)
    answers = [recommender.recommend(RecommendRequest("ann"), UNRANKED, NOW_MS) for _ in range(20)]
    assert len({tuple(ids(answer)) for answer, _ in answers}) > 1
    for answer, impression in answers:
        assert impression is not None and impression.policy == answer.policy
        assert impression.policy == policy_of(shop.exploration)
        told = [shown.propensity for shown in impression.items]
        assert told == [item.propensity for item in answer.items] and None not in told
        assert event.decode(event.encode(impression), NOW_MS) == impression


@pytest.mark.parametrize(
    "asked", [{"record": False}, {"exclude": tuple(f"i{n}" for n in range(1, 13))}]
)
def test_nothing_is_logged_of_a_slate_that_is_empty_or_not_to_be(asked: dict[str, Any]) -> None:
    assert slate(Store(), **asked)[1] is None


def test_a_slate_has_the_time_of_each_stage_and_source() -> None:
    answer, _ = slate(Store())
    *names, last = answer.stage_ms
    assert names == [
        *("hydrate", *SOURCES, "sources"),
        *("merge", "filters", "refill", "rank", "rerank", "explore", "answer"),
    ]
    assert last == "total" and answer.stage_ms["total"] >= answer.stage_ms["hydrate"]
