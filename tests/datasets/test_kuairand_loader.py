"""KuaiRand from a folder: one row, one impression, streamed in batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.outside import NO_DATA, larger_data
from headrace.catalogue import columnar
from headrace.catalogue.item import Dataset
from headrace.datasets.kuairand import history as kuairand_history
from headrace.datasets.kuairand import loader as kuairand
from headrace.datasets.registry import load_dataset
from headrace.errors import DatasetError
from headrace.event import ImpressionEvent, decode, encode

REAL = larger_data("kuairand")
VIDEO: dict[str, Any] = {
    "video_id": 5,
    "tag": "39,43",
    "author_id": 11,
    "music_type": 9.0,
    "video_type": "NORMAL",
    "upload_type": "Web",
    "video_duration": 18_000.0,
}
USER: dict[str, Any] = {
    "user_id": 1,
    "user_active_degree": "full_active",
    "fans_user_num": 20,
    "fans_user_num_range": "[10,100)",
    "onehot_feat4": 3.0,
    "onehot_feat5": None,
}


def impression(time_ms: int, user: int = 1, click: int = 0) -> dict[str, Any]:
    row = {"user_id": user, "video_id": 5, "time_ms": time_ms, "is_click": click}
    return row | {"tab": 2, "play_time_ms": 99}


def write_folder(folder: Path, rows: list[dict[str, Any]], video: dict[str, Any] = VIDEO) -> Path:
    folder.mkdir(exist_ok=True)
    empty_video = {"video_id": 6, "tag": None, "video_type": "AD"}
    for name, content in (
        ("impressions", rows),
        ("videos", [video, empty_video]),
        ("users", [USER]),
    ):
        pq.write_table(pa.Table.from_pylist(content), folder / f"{name}.parquet", row_group_size=2)
    return folder


def impressions(dataset: Dataset) -> list[ImpressionEvent]:
    return [event for event in dataset.events() if isinstance(event, ImpressionEvent)]


def test_a_row_becomes_an_impression_with_its_outcome(tmp_path: Path) -> None:
    dataset = kuairand.load(write_folder(tmp_path, [impression(40, click=1), impression(70)]))
    first, second = impressions(dataset)
    assert (first.event_time_ms, first.user_id, first.surface) == (40, "1", "tab2")
    assert [(shown.item_id, shown.clicked) for shown in first.items] == [("5", True)]
    assert second.items[0].clicked is False
    assert (dataset.num_events, dataset.start_ms, dataset.end_ms) == (2, 40, 70)


def test_likes_long_views_and_the_share_watched_are_taken_where_they_are(tmp_path: Path) -> None:
    outcome = {"is_like": 0, "long_view": 1, "play_time_ms": 3_000, "duration_ms": 12_000}
    unknown = {"is_like": None, "long_view": 0, "play_time_ms": 3_000, "duration_ms": 0}
    rows = [impression(40) | outcome, impression(50) | unknown]
    first, second = impressions(kuairand.load(write_folder(tmp_path / "with", rows)))
    (shown,) = first.items
    assert (shown.liked, shown.long_viewed, shown.grade) == (False, True, 0.25)
    assert (second.items[0].liked, second.items[0].grade) == (None, None)
    (without,) = impressions(kuairand.load(write_folder(tmp_path / "without", [impression(40)])))
    assert (without.items[0].liked, without.items[0].long_viewed) == (None, None)


def history(user: int, last_ms: int, watched: list[int], **lists: list[int]) -> dict[str, Any]:
    of_kinds = {f"{name}_seq": lists.get(name, []) for name in ("like", "long_watch")}
    counted = {"user_id": user, "history_len": len(watched), "last_time_ms": last_ms}
    return {**counted, "watch_seq": watched, **of_kinds}


def test_history_is_events_before_the_log_with_what_came_of_them(tmp_path: Path) -> None:
    folder, last_ms = write_folder(tmp_path, [impression(40)]), kuairand_history.LOG_START_MS + 400
    rows = [
        history(1, last_ms, [5, 6, 5, 5], long_watch=[9, 5, 5], like=[6]),
        history(2, last_ms - 500, [7]),
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "history.parquet")
    dataset = load_dataset("kuairand-history", folder)
    events = impressions(dataset)
    assert dataset.num_events == len(events) == 5 and len({e.event_id for e in events}) == 5
    mine = [event for event in events if event.user_id == "1"]
    assert [event.items[0].item_id for event in mine] == ["5", "6", "5", "5"]
    assert [event.items[0].long_viewed for event in mine] == [False, False, True, True]
    assert [event.items[0].clicked for event in mine] == [False, False, True, True]
    assert [event.items[0].liked for event in mine] == [False, True, False, False]
    times = [event.event_time_ms for event in events]
    assert times == sorted(times) and (times[0], times[-1]) == (dataset.start_ms, dataset.end_ms)
    assert mine[-1].event_time_ms == last_ms


def test_a_history_is_spread_over_the_time_before_its_last_video(tmp_path: Path) -> None:
    folder, day_ms = write_folder(tmp_path, [impression(40)]), 86_400_000
    row = history(1, kuairand_history.LOG_START_MS + 10 * day_ms, [5, 6]) | {"history_len": 10}
    pq.write_table(pa.Table.from_pylist([row]), folder / "history.parquet")
    first, second = impressions(load_dataset("kuairand-history", folder))
    assert second.event_time_ms - first.event_time_ms == day_ms


def test_a_history_read_in_parts_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, hour_ms = tmp_path / "history.parquet", 3_600_000
    nobody = history(9, kuairand_history.LOG_START_MS, [])
    rows = [
        history(user, kuairand_history.LOG_START_MS + (1 + user % 7) * 9 * hour_ms, [1, 2, 3, 4])
        for user in range(40)
    ]
    pq.write_table(pa.Table.from_pylist([nobody, *rows]), path)
    whole = list(kuairand_history.read_events(path))
    for most in (1, 30):
        monkeypatch.setattr(kuairand_history, "MAX_EVENTS", most)
        assert list(kuairand_history.read_events(path)) == whole
    assert len(whole) == 160


def test_exact_duplicates_have_equal_event_ids(tmp_path: Path) -> None:
    rows = [impression(40), impression(40), impression(40, user=2)]
    events = impressions(kuairand.load(write_folder(tmp_path, rows)))
    assert [event.event_id for event in events] == ["kr-1-5-40", "kr-1-5-40", "kr-2-5-40"]


def test_a_file_in_another_order_is_sorted_stably(tmp_path: Path) -> None:
    times = [(70, 1), (40, 3), (40, 2), (10, 4), (70, 0)]
    rows = [impression(time_ms, user) for time_ms, user in times]
    dataset = kuairand.load(write_folder(tmp_path, rows))
    order = [(event.event_time_ms, int(event.user_id)) for event in impressions(dataset)]
    assert order == [(10, 4), (40, 3), (40, 2), (70, 1), (70, 0)]
    assert (dataset.start_ms, dataset.end_ms) == (10, 70)


def test_a_file_in_order_is_read_batch_by_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columnar, "BATCH_ROWS", 2)
    dataset = kuairand.load(write_folder(tmp_path, [impression(t) for t in range(7)]))
    monkeypatch.setattr(columnar, "read_parquet", None)  # a whole read would fail
    assert [event.event_time_ms for event in dataset.events()] == list(range(7))


def test_items_and_users_come_as_words_without_nulls(tmp_path: Path) -> None:
    dataset = kuairand.load(write_folder(tmp_path, [impression(1)]))
    assert dataset.items[0].categories == ("tag=39", "tag=43")
    assert dataset.items[0].attributes == (
        "author=11",
        "music_type=9",
        "video_type=NORMAL",
        "upload_type=Web",
        "duration=18-30s",
    )
    assert dataset.items[1].categories == ()
    assert dataset.items[1].attributes == ("video_type=AD",)
    assert dataset.users[0].attributes == (
        "user_active_degree=full_active",
        "fans_user_num_range=[10,100)",
        "onehot_feat4=3",
    )


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no column user_id"),
        ([impression(-1)], "expected time_ms from 0 up"),
        ([impression(1_652_000_000)], "time_ms: expected milliseconds, got 1652000000: seconds"),
        ([impression(1, click=2)], "is_click 0 or 1"),
        ([impression(1) | {"tab": None}, impression(2)], "empty values in tab"),
        ([impression(1) | {"time_ms": "noon"}], "whole numbers"),
    ],
)
def test_an_unusable_log_is_one_clear_error(tmp_path: Path, rows: Any, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        kuairand.load(write_folder(tmp_path, rows))


def test_without_a_folder_the_user_is_told_to_give_one() -> None:
    with pytest.raises(DatasetError, match="--data FOLDER"):
        kuairand.load(None)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    write_folder(tmp_path, [impression(1)])
    (tmp_path / "videos.parquet").write_bytes(b"not parquet at all")
    with pytest.raises(DatasetError, match=r"videos\.parquet: cannot be read"):
        kuairand.load(tmp_path)


@pytest.mark.skipif(not REAL, reason=NO_DATA)
def test_the_real_log_is_in_order_unique_and_covered_by_its_catalogue() -> None:
    dataset = kuairand.load(REAL)
    events = impressions(dataset)
    assert len(events) == dataset.num_events == 167_055
    assert len({event.event_id for event in events}) == 167_055
    times_ms = [event.event_time_ms for event in events]
    assert times_ms == sorted(times_ms)
    assert (times_ms[0], times_ms[-1]) == (dataset.start_ms, dataset.end_ms)
    assert {e.items[0].item_id for e in events} <= {item.item_id for item in dataset.items}
    assert {e.user_id for e in events} <= {user.user_id for user in dataset.users}
    assert decode(encode(events[0]), dataset.end_ms) == events[0]
