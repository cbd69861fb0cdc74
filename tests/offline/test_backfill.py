"""A backfill, without Ray and servers: which rows it makes, and what it does to those before."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from headrace.catalogue.files import write_catalogue
from headrace.catalogue.item import Dataset, Item, User
from headrace.errors import ServiceError
from headrace.event import Event, ImpressionEvent, Shown
from headrace.features.rows.state_row import blank_rows, encode_rows
from headrace.features.table import ITEM_LAYOUT, LIFE, USER_LAYOUT
from headrace.offline import backfill as offline_backfill
from headrace.offline.backfill import STATE, Backfill, one_at_a_time
from headrace.offline.folder import DAY_MS, LogFolder
from headrace.offline.period import Period
from headrace.offline.sources import ArchivedEvents, write_dataset
from headrace.offline.start_state import START_PARTITION, read_rows, row_table
from headrace.paths import FEATURE_ROWS
from headrace.stream.step.partition import PartitionSettings

START_MS = 1_714_521_600_000  # 2024-05-01
USERS, ITEMS = ("ann", "bob", "eve", "dan"), ("mug", "pen", "lamp")
NUM_PARTITIONS, NUM_SHARDS = 3, 2
RULES = PartitionSettings(dedupe_window=1_000, click_window_ms=1_000, every_event=True)


def events(random: Random, num: int) -> list[Event]:
    """Impressions over two days, some of the same user, item and millisecond."""
    times = sorted(START_MS + random.randrange(0, 2 * DAY_MS, DAY_MS // 40) for _ in range(num))
    return [
        ImpressionEvent(
            event_id=f"e{number}",
            event_time_ms=time_ms,
            user_id=random.choice(USERS),
            request_id=f"e{number}",
            items=(Shown(random.choice(ITEMS), clicked=random.random() < 0.5),),
        )
        for number, time_ms in enumerate(times)
    ]


def dataset(log: list[Event]) -> Dataset:
    items, users = tuple(map(Item, ITEMS)), tuple(map(User, USERS))
    return Dataset("random", items, users, lambda: iter(log), len(log), START_MS, START_MS)


@pytest.fixture(params=range(3))
def log(request: pytest.FixtureRequest) -> list[Event]:
    return events(Random(request.param), 120)


@pytest.fixture
def source(log: list[Event], tmp_path: Path) -> ArchivedEvents:
    write_catalogue(dataset(log), tmp_path / "catalogue", 0)
    return write_dataset(dataset(log), tmp_path / "events", NUM_PARTITIONS)


def run(source: ArchivedEvents, folder: Path, number: int, period: Period) -> Backfill:
    """Both steps, not published."""
    offline, catalogue = folder / "offline", folder / "catalogue"
    backfill = Backfill(source, offline, catalogue, RULES, period, number, NUM_SHARDS)
    for partition in source.partitions():
        assert list(backfill.replay(partition))
    for shard in range(backfill.num_shards):
        backfill.merge(shard)
    return backfill


def rows(folder: Path, entity: str) -> pd.DataFrame:
    path = folder / "offline" / FEATURE_ROWS / entity
    return pd.read_parquet(path, partitioning=None) if path.is_dir() else pd.DataFrame()


def test_each_event_leaves_a_row_of_its_user(
    source: ArchivedEvents, log: list[Event], tmp_path: Path
) -> None:
    run(source, tmp_path, 1, Period()).publish()
    table = rows(tmp_path, "user").sort_values("position")
    for user in USERS:
        mine = [event.event_time_ms for event in log if event.user_id == user]
        of_user = table[table.user_id == user]
        assert of_user.event_time_ms.tolist() == mine
        counts = np.expm1(of_user.user_impressions_log).round().astype(int).tolist()
        assert counts == list(range(1, len(mine) + 1))


def test_rows_of_items_count_all_partitions_and_nothing_later(
    source: ArchivedEvents, log: list[Event], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offline_backfill, "EVENTS_PER_STEP", 1)  # a row for each event
    run(source, tmp_path, 1, Period()).publish()
    table = rows(tmp_path, "item").sort_values(["event_time_ms", "position"])
    newest = table.drop_duplicates(["item_id", "event_time_ms"], keep="last")
    assert len(newest) > 50
    for row in newest.itertuples():
        before = [
            event
            for event in log
            if isinstance(event, ImpressionEvent)
            and event.items[0].item_id == row.item_id
            and event.event_time_ms <= row.event_time_ms
        ]
        assert round(np.expm1(row.item_impressions_log)) == len(before)


def test_the_state_at_the_end_counts_everything_and_is_of_no_partition(
    source: ArchivedEvents, log: list[Event], tmp_path: Path
) -> None:
    backfill = run(source, tmp_path, 1, Period())
    for layout, ids in ((USER_LAYOUT, USERS), (ITEM_LAYOUT, ITEMS)):
        found, last = read_rows(backfill.scratch / STATE, layout)
        assert sorted(found) == sorted(ids)
        assert (last["partition"] == START_PARTITION).all()
        total = last["state"][layout.field_of[LIFE]][:, 0].sum()
        assert total == len(log)


def test_only_the_period_is_replaced_and_the_archive_still_knows_where_it_is(
    source: ArchivedEvents, log: list[Event], tmp_path: Path
) -> None:
    run(source, tmp_path, 1, Period()).publish()
    before = rows(tmp_path, "user")
    archived = LogFolder(tmp_path / "offline" / FEATURE_ROWS)
    for date, table in before.groupby(before.event_time_ms // DAY_MS):
        path = archived.path / "user" / f"date={np.datetime64(date, 'D')}" / "p0-7-9-of2.parquet"
        table.to_parquet(path, index=False)
    assert archived.resume() == {0: 9}
    period = Period(START_MS + DAY_MS // 2, START_MS + DAY_MS)
    run(source, tmp_path, 2, period).publish()
    after = rows(tmp_path, "user")
    inside = (before.event_time_ms >= period.from_ms) & (before.event_time_ms < period.to_ms)
    is_new = (after.event_time_ms >= period.from_ms) & (after.event_time_ms < period.to_ms)
    assert 0 < is_new.sum() == inside.sum(), "once, though the rows lay there twice"
    assert len(after[~is_new]) == 2 * len(before[~inside])
    assert archived.resume() == {0: 9}


def test_events_from_the_end_of_the_period_on_do_not_count(
    source: ArchivedEvents, log: list[Event], tmp_path: Path
) -> None:
    backfill = run(source, tmp_path, 1, Period(to_ms=START_MS + DAY_MS))
    _, last = read_rows(backfill.scratch / STATE, USER_LAYOUT)
    expected = sum(event.event_time_ms < START_MS + DAY_MS for event in log)
    assert last["state"][USER_LAYOUT.field_of[LIFE]][:, 0].sum() == expected


def test_a_backfill_that_dies_changes_nothing_and_its_leftovers_go(
    source: ArchivedEvents, tmp_path: Path
) -> None:
    backfill = run(source, tmp_path, 1, Period())
    assert rows(tmp_path, "user").empty and backfill.scratch.is_dir()
    with one_at_a_time(tmp_path / "offline"):
        assert not backfill.scratch.exists()
        with pytest.raises(ServiceError, match="another backfill runs"):
            with one_at_a_time(tmp_path / "offline"):
                pass


def test_a_start_state_of_another_feature_table_is_carried_over(tmp_path: Path) -> None:
    rows = blank_rows(USER_LAYOUT, 2, START_PARTITION)
    rows["state"][USER_LAYOUT.field_of[LIFE]] = 3
    table = row_table(["ann", "bob"], rows)
    other = [bytes(4) + row[4:] for row in encode_rows(rows)]
    (tmp_path / "user").mkdir()
    pq.write_table(table.set_column(1, "row", [other]), tmp_path / "user" / "1.parquet")
    ids, read = read_rows(tmp_path, USER_LAYOUT)
    assert ids == ["ann", "bob"] and read.tobytes() == rows.tobytes()
