"""The folders of the offline store: each message once, whatever happens to the one who writes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from random import Random

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from headrace.broker.record import Record
from headrace.event import POSITION_UNKNOWN, ClickEvent, encode
from headrace.features.rows.numbers_message import (
    decode_feature_rows,
    encode_feature_rows,
    numbered,
)
from headrace.features.rows.state_row import blank_rows
from headrace.features.table import USER_LAYOUT
from headrace.offline.folder import DAY_MS, LogFolder, by_date
from headrace.offline.tables import (
    event_tables,
    feature_row_tables,
    records_of,
    sample_tables,
    samples_of,
)
from headrace.sample import Sample, encode_batches
from headrace.skipped import Skipped

FIRST_DAY = 19_844  # 2024-05-01


class PowerCut(Exception):
    """The machine stopped."""


def record(offset: int, day: int, partition: int = 0) -> Record:
    event = ClickEvent(f"e{offset}", (FIRST_DAY + day) * DAY_MS, "ann", "mug")
    return Record(partition, offset, 5, b"ann", encode(event))


def read(folder: LogFolder, partition: int = 0) -> list[Record]:
    return [one for table in folder.tables(partition) for one in records_of(table, partition)]


def test_a_file_is_named_after_its_messages_and_lies_under_its_date(tmp_path: Path) -> None:
    folder = LogFolder(tmp_path)
    folder.write(3, 100, 102, event_tables([record(100, 0, 3), record(101, 1, 3)]))
    assert sorted(
        path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.parquet")
    ) == [
        "date=2024-05-01/p3-100-102-of2.parquet",
        "date=2024-05-02/p3-100-102-of2.parquet",
    ]
    assert folder.resume() == {3: 102}


def test_events_come_back_as_they_came_poison_included(tmp_path: Path) -> None:
    records = [record(0, 1), Record(0, 1, 7, b"", b"\xff not json"), record(2, 0)]
    LogFolder(tmp_path).write(0, 0, 3, event_tables(records))
    assert read(LogFolder(tmp_path)) == records


@pytest.mark.parametrize("seed", range(6))
def test_each_message_is_there_once_however_often_the_writer_dies(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = Random(seed)
    records = [record(offset, random.randint(0, 2)) for offset in range(12)]
    replace, died = os.replace, 0

    def replace_or_die(source: Path, target: Path) -> None:
        if random.random() < 0.4:
            raise PowerCut
        replace(source, target)

    monkeypatch.setattr(os, "replace", replace_or_die)
    while (start := LogFolder(tmp_path).resume().get(0, 0)) < len(records):
        end = random.randint(start + 1, len(records))
        try:
            LogFolder(tmp_path).write(0, start, end, event_tables(records[start:end]))
        except PowerCut:
            died += 1
            assert read(LogFolder(tmp_path)) == records[:start], "half a flush is not read"
    assert died
    assert read(LogFolder(tmp_path)) == records


def test_folders_of_old_dates_may_be_deleted(tmp_path: Path) -> None:
    folder = LogFolder(tmp_path)
    folder.write(0, 0, 2, event_tables([record(0, 0), record(1, 1)]))
    folder.write(0, 2, 3, event_tables([record(2, 1)]))
    shutil.rmtree(tmp_path / "date=2024-05-01")
    assert folder.resume() == {0: 3}
    assert [one.offset for one in read(folder)] == [1, 2]


def three_samples() -> list[Sample]:
    """Without attributes of the user, and without positions and a surface, too."""
    features = (np.arange(6, dtype="<f4").tobytes(), np.arange(6, dtype="<i8").tobytes())
    time_ms = FIRST_DAY * DAY_MS
    shown = ((3, POSITION_UNKNOWN), "search")
    one = Sample(2, 7, 1, 99, "r", time_ms, 4, 1, (5, 6), (7, 8), (0, 3), 7, *features, *shown)
    other = msgspec.structs.replace(one, source_offset=8, user_word_keys=())
    more = {"positions": (), "surface": "", "propensity": np.array([0.5, np.nan], "<f4").tobytes()}
    more |= {"policy": "thompson@1", "num_draws": 50}
    return [one, other, msgspec.structs.replace(one, source_offset=9, **more)]


def archive(folder: LogFolder, samples: list[Sample], *lacking: str) -> None:
    """Write samples into their folder, as a build did whose samples lacked some columns."""
    (message,) = encode_batches(samples)
    first, end = samples[0].source_offset, samples[-1].source_offset + 1
    tables = sample_tables([Record(2, 0, 0, b"", message)])
    folder.write(2, first, end, {name: one.drop_columns(lacking) for name, one in tables.items()})


def test_samples_come_back_as_they_were(tmp_path: Path) -> None:
    samples, folder = three_samples(), LogFolder(tmp_path)
    archive(folder, samples)
    assert [one for table in folder.tables(2) for one in samples_of(table)] == samples


def test_samples_of_files_without_positions_and_surface_are_of_unknown_ones(tmp_path: Path) -> None:
    before, *after = three_samples()
    folder = LogFolder(tmp_path)
    archive(folder, [before], "positions", "surface", "propensity", "policy", "num_draws")
    archive(folder, after)
    expected = [msgspec.structs.replace(before, positions=(), surface=""), *after]
    tables = list(folder.tables(2))
    assert [one for table in tables for one in samples_of(table)] == expected
    together = pa.concat_tables(tables, promote_options="default")
    assert list(samples_of(together)) == expected
    with pytest.raises(KeyError, match="dense"):
        samples_of(tables[0].drop_columns("dense"))


def test_feature_rows_are_cut_to_messages_and_known_from_just_after_their_event() -> None:
    num = 20_000
    rows = blank_rows(USER_LAYOUT, num, partition=2)
    rows["event_time_ms"] = FIRST_DAY * DAY_MS
    rows["position"] = np.arange(num)
    ids = [f"user {number}" for number in range(num)]
    messages = list(encode_feature_rows(numbered(USER_LAYOUT, 2, ids, rows)))
    assert len(messages) > 1 and all(len(message) <= 500_000 for message in messages)
    assert decode_feature_rows(messages[0]).ids[0] == "user 0"
    records = [Record(2, offset, 0, b"", message) for offset, message in enumerate(messages)]
    table = feature_row_tables(records)["user/date=2024-05-01"]
    assert table.column("user_id").to_pylist() == ids
    assert table.column("position").to_pylist() == list(range(num))
    known_us = table.column("event_timestamp").cast(pa.int64()).to_numpy()
    assert (known_us == FIRST_DAY * DAY_MS * 1_000 + 1).all()
    expected = USER_LAYOUT.number_values(rows["state"][:1], rows["event_time_ms"][:1])[0]
    got = [table.column(feature.name)[0].as_py() for feature in USER_LAYOUT.numbers]
    np.testing.assert_array_equal(np.array(got, np.float32), expected)


def test_no_rows_are_no_message() -> None:
    nobody = numbered(USER_LAYOUT, 0, [], blank_rows(USER_LAYOUT, 0))
    assert list(encode_feature_rows(nobody)) == [] and len(nobody.number_UF) == 0


def test_rows_of_another_feature_table_are_counted() -> None:
    rows = numbered(USER_LAYOUT, 0, ["ann"], blank_rows(USER_LAYOUT, 1))
    other = msgspec.structs.replace(rows, schema=rows.schema ^ 1)
    records = [
        Record(0, n, 0, b"", next(encode_feature_rows(r))) for n, r in enumerate((rows, other))
    ]
    skipped = Skipped(say=lambda line: None)
    assert [len(table) for table in feature_row_tables(records, skipped).values()] == [1]
    (kind,) = skipped.report()
    assert (kind.reason, kind.count) == ("rows of another feature table", 1)
    assert "headrace backfill" in kind.first


def test_a_table_without_rows_has_no_date() -> None:
    assert by_date(pa.table({"event_time_ms": pa.array([], pa.int64())})) == {}
