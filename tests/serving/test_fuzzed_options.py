"""Whatever a body says of filters, weights and deadlines: a slate, or a fault with its field."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from ranked_shop import HYDRATE, TABLE, ranked
from request_path import NOW_MS

from headrace.api.slate import InvalidRequest, RankRequest, RecommendRequest, parse
from serving.lists import Lists
from serving.recommend import Recommender

RECOMMENDER, LISTS, SNAPSHOT = Recommender(HYDRATE, TABLE, 8), Lists(HYDRATE, TABLE, 8), ranked()
NAMES = st.sampled_from(["any", "all", "not", "category", "item", "price", "stock", "brand", ""])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | st.text(max_size=5),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(NAMES | st.text(max_size=3), one),
    max_leaves=12,
)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "filters": ANYTHING,
        "weights": ANYTHING,
        "deadline_ms": ANYTHING | st.integers(1, 100),
        "num_items": st.integers(-1, 5),
    },
)


def answered(path: str, body: dict[str, Any]) -> int:
    """The status of an answer, whose fault has a field."""
    try:
        if path == "rank":
            asked = parse(msgspec.json.encode({**body, "items": ["i1", "i2"]}), RankRequest)
            LISTS.rank(asked, SNAPSHOT, NOW_MS)
        else:
            RECOMMENDER.recommend(
                parse(msgspec.json.encode(body), RecommendRequest), SNAPSHOT, NOW_MS
            )
    except InvalidRequest as error:
        assert error.field and error.field.split(".")[0].split("[")[0] in body, error.field
        return 422
    return 200


@settings(max_examples=200, deadline=None)
@given(OPTIONS, st.sampled_from(["recommend", "rank"]))
def test_any_options_are_answered_or_refused_with_their_field(
    options: dict[str, Any], path: str
) -> None:
    assert answered(path, {"user_id": "ann", **options}) in (200, 422)


def test_huge_conditions_are_refused_at_once() -> None:
    deep: Any = {"a": 1}
    for _ in range(900):
        deep = {"not": deep}
    huge = (
        {"a": [*range(200_000)]},
        {f"a{n}": n for n in range(100_000)},
        {"any": [{"a": n} for n in range(100_000)]},
        {"any": [{"any": [{"a": n} for n in range(32)]} for _ in range(32)]},
        deep,
    )
    for filters in huge:
        body = msgspec.json.encode({"user_id": "ann", "filters": filters})
        try:
            asked = parse(body, RecommendRequest)
            began_s = time.process_time()
            RECOMMENDER.recommend(asked, SNAPSHOT, NOW_MS)
        except InvalidRequest as error:
            assert error.field.startswith("filters") and time.process_time() - began_s < 0.1
        else:
            raise AssertionError("it was taken")
