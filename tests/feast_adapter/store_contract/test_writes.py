"""What is written is what is read: newest rows, pushes, materialization, several join keys."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest
from backends import NOON, STOCK_SQLITE, Repo, frame, shop, user
from feast.types import Float32, Int64, String

HOUR = timedelta(hours=1)
FEATURES = ["stats:clicks", "stats:rate"]


@pytest.fixture
def stats(repo: Repo) -> Repo:
    """A repository with one view of a user's clicks and rate."""
    repo.view("stats", {"clicks": Int64, "rate": Float32})
    repo.apply()
    return repo


def test_a_later_row_replaces_an_earlier_one_and_not_the_other_way_round(stats: Repo) -> None:
    stats.write("stats", user_id=["a"], clicks=[1], rate=[0.5])
    stats.write("stats", user_id=["a"], clicks=[2], rate=[None], event_timestamp=[NOON + HOUR])
    assert stats.read(FEATURES, user_id=["a"]) == {"user_id": ["a"], "clicks": [2], "rate": [None]}
    if stats.kind == STOCK_SQLITE:
        pytest.skip("Feast's SQLite store keeps what was written last, whatever its event time")
    stats.write("stats", user_id=["a"], clicks=[3], rate=[0.5], event_timestamp=[NOON])
    stats.write("stats", user_id=["a"], clicks=[4], rate=[0.5], event_timestamp=[NOON + HOUR])
    assert stats.read(FEATURES, user_id=["a"])["clicks"] == [2]


def test_event_times_are_told_apart_by_the_microsecond(stats: Repo) -> None:
    later = NOON + timedelta(microseconds=1)
    stats.write("stats", user_id=["a"], clicks=[1], rate=[0.0], event_timestamp=[NOON])
    stats.write("stats", user_id=["a"], clicks=[2], rate=[0.0], event_timestamp=[later])
    assert stats.read(FEATURES, user_id=["a"])["clicks"] == [2]


def test_of_rows_of_one_entity_in_a_batch_the_latest_stays(stats: Repo) -> None:
    if stats.kind == STOCK_SQLITE:
        pytest.skip("Feast's SQLite store keeps the last row of a batch, whatever its event time")
    times = [NOON, NOON + HOUR, NOON - HOUR]
    stats.write("stats", user_id=["a"] * 3, clicks=[1, 2, 3], rate=[0.0] * 3, event_timestamp=times)
    assert stats.read(FEATURES, user_id=["a"])["clicks"] == [2]


def test_skip_dedup_lets_the_last_row_stay(repo: Repo, new_repo: Any) -> None:
    if repo.kind == STOCK_SQLITE:
        pytest.skip("Feast's SQLite store has no skip_dedup")
    last = new_repo(repo.kind, skip_dedup=True)
    last.view("stats", {"clicks": Int64, "rate": Float32})
    last.apply()
    last.write("stats", user_id=["a"], clicks=[1], rate=[0.0], event_timestamp=[NOON + HOUR])
    last.write("stats", user_id=["a"], clicks=[2], rate=[0.0], event_timestamp=[NOON])
    assert last.read(FEATURES, user_id=["a"])["clicks"] == [2]


def test_a_push_is_read_at_once_also_from_an_event_loop(stats: Repo) -> None:
    stats.push("stats", user_id=["a", "b"], clicks=[1, 2], rate=[0.5, 0.25])
    assert stats.read(FEATURES, user_id=["b", "a"])["clicks"] == [2, 1]
    if stats.kind == STOCK_SQLITE:
        pytest.skip("Feast's SQLite store has no asynchronous reads and writes")

    async def push_and_read() -> Any:
        rows = frame({"user_id": ["c"], "clicks": [3], "rate": [0.125]})
        await stats.store.push_async("stats_push", rows)
        answer = await stats.store.get_online_features_async(
            features=FEATURES, entity_rows=[{"user_id": "c"}, {"user_id": "a"}]
        )
        await stats.close()
        return answer.to_dict()

    answer = asyncio.run(push_and_read())
    assert answer == {"user_id": ["c", "a"], "clicks": [3, 1], "rate": [0.125, 0.5]}


def test_materialize_and_materialize_incremental_bring_in_what_is_new(stats: Repo) -> None:
    schema = pa.schema([("user_id", pa.string()), ("clicks", pa.int64()), ("rate", pa.float32())])
    rows = [
        {"user_id": "a", "clicks": 1, "rate": 0.5, "event_timestamp": NOON},
        {"user_id": "a", "clicks": 2, "rate": 0.5, "event_timestamp": NOON + HOUR},
        {"user_id": "b", "clicks": 3, "rate": None, "event_timestamp": NOON},
    ]
    stats.write_file("stats", rows, schema)
    stats.store.materialize(NOON - HOUR, NOON + HOUR)
    first = stats.read(FEATURES, user_id=["a", "b", "c"])
    assert first["clicks"] == [2, 3, None] and first["rate"] == [0.5, None, None]
    new = {"user_id": "c", "clicks": 4, "rate": 0.25, "event_timestamp": NOON + 2 * HOUR}
    stats.write_file("stats", [*rows, new], schema)
    stats.store.materialize_incremental(NOON + 3 * HOUR)
    assert stats.read(FEATURES, user_id=["a", "b", "c"])["clicks"] == [2, 3, 4]


def test_rows_of_several_join_keys_are_kept_apart(repo: Repo) -> None:
    repo.view("pairs", {"title": String}, entities=[user, shop])
    repo.apply()
    users, shops = ["a", "a", "b", "a,shop_id=1", "a%2C"], [1, -1, 1, 1, 1]
    titles = [f"{one}/{other}" for one, other in zip(users, shops, strict=True)]
    repo.write("pairs", user_id=users, shop_id=shops, title=titles)
    answer = repo.read(["pairs:title"], user_id=users, shop_id=shops)
    assert answer["title"] == titles
    assert repo.read(["pairs:title"], user_id=["b"], shop_id=[-1])["title"] == [None]


def test_rows_of_integer_join_keys_are_kept_apart(repo: Repo) -> None:
    repo.view("shops", {"title": String}, entities=[shop])
    repo.apply()
    ids = [0, 1, -1, 2**63 - 1, -(2**63)]
    repo.write("shops", shop_id=ids, title=[str(one) for one in ids])
    answer = repo.read(["shops:title"], shop_id=ids[::-1])
    assert answer["title"] == [str(one) for one in ids[::-1]]
