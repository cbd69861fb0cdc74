"""MovieLens-100K as files that `headrace evaluate` reads."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from headrace.datasets.kuairand import loader as kuairand
from headrace.datasets.movielens import impressions as movielens_impressions
from headrace.datasets.movielens import loader as movielens
from headrace.evaluation.files import impressions


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("movielens")
    movielens_impressions.write(folder)
    return folder


def test_the_test_is_the_last_fifth_and_shares_no_second_with_the_train(folder: Path) -> None:
    train, test = impressions.check_files(
        folder / "train.parquet", folder / "test.parquet", ["is_click"]
    )
    assert (train.num_rows, test.num_rows) == (80_003, 19_997)
    assert train.end_ms < test.start_ms


def test_they_are_the_events_of_the_loader_with_the_rating_as_value(folder: Path) -> None:
    read = [
        row.event
        for name in ("train", "test")
        for row in impressions.read(folder / f"{name}.parquet", ["is_click"], name)
    ]
    loaded = list(movielens.load().events())
    assert [(e.event_time_ms, e.user_id, e.items[0].item_id, e.items[0].clicked) for e in read] == [
        (e.event_time_ms, e.user_id, e.items[0].item_id, e.items[0].clicked) for e in loaded
    ]
    assert {(e.items[0].clicked, e.items[0].grade) for e in read} == {
        (rating >= 4, rating / 5) for rating in range(1, 6)
    }


def test_genres_decade_and_users_attributes_become_words(folder: Path) -> None:
    films = {item.item_id: item for item in kuairand.read_items(folder / "videos.parquet")}
    users = {user.user_id: user for user in kuairand.read_users(folder / "users.parquet")}
    assert films["1"].categories == ("tag=Animation", "tag=Children's", "tag=Comedy")
    assert films["1"].attributes == ("video_type=1990s",)
    assert users["1"].attributes == (
        *("age_range=18-24", "gender_range=M", "occupation_range=technician"),
    )
    assert len(pq.read_table(folder / "videos.parquet")) == 1_682
