"""A log in any order is told by time: streamed where it is sorted, else sorted on disk."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import pytest
from table_folder import impressions, load

from headrace.datasets.table import loader as table
from headrace.datasets.table.files import text
from headrace.datasets.table.log import order
from headrace.errors import ConfigError, DatasetError
from headrace.event import ImpressionEvent


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks, runs and merges of a few rows."""
    monkeypatch.setattr(text, "BLOCK_BYTES", 64)
    monkeypatch.setattr(order, "RUN_ROWS", 7)
    monkeypatch.setattr(order, "BATCH_ROWS", 2)
    monkeypatch.setattr(order, "FAN_IN", 3)


def rows(num: int, num_moments: int, seed: int = 0) -> list[str]:
    draw = random.Random(seed)
    return [
        f"u{draw.randrange(5)},i{draw.randrange(9)},{draw.randrange(num_moments)},"
        f"{draw.randrange(2)},r{draw.randrange(3)}"
        for _ in range(num)
    ]


def in_order(lines: list[str]) -> list[str]:
    return sorted(lines, key=lambda line: int(line.split(",")[2]))


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("num_moments", [1, 3, 40, 1_000])
@pytest.mark.parametrize("extra", ["", ", request_id: r"])
def test_sorting_on_disk_gives_what_a_sorted_file_gives(
    tmp_path: Path, num_moments: int, extra: str
) -> None:
    lines = rows(300, num_moments)
    folders = [tmp_path / "sorted", tmp_path / "any"]
    told = []
    for folder, content in zip(folders, (in_order(lines), lines), strict=True):
        folder.mkdir()
        dataset = load(folder, "\n".join(content) + "\n", "u,i,t,c,r", extra)
        assert dataset.counts is not None and dataset.num_events == len(list(dataset.events()))
        told.append((impressions(dataset), dataset.num_bad_rows, dataset.counts.num_merged))
        assert impressions(dataset) == told[-1][0]  # another pass
    assert told[0] == told[1]
    times_ms = [event.event_time_ms for event in told[1][0]]
    assert times_ms == sorted(times_ms)


def test_a_sorted_file_needs_no_room_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "mkstemp", lambda **_: pytest.fail("wrote a file"))
    assert load(tmp_path, "\n".join(in_order(rows(50, 9))) + "\n", "u,i,t,c,r").num_events


@pytest.mark.usefixtures("small_chunks")
def test_sorting_leaves_nothing_on_disk_even_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    dataset = load(tmp_path, "\n".join(rows(100, 50)) + "\n", "u,i,t,c,r")
    passes = zip(dataset.events(), dataset.events(), strict=True)  # two at once
    assert all(one == other for one, other in passes)
    assert not list(place.iterdir())


def test_no_room_to_sort_is_said_with_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(DatasetError, match=r"cannot be sorted in .*nowhere.*TMPDIR"):
        load(tmp_path, "a,x,2,1\nb,x,1,0\n")


def test_several_files_are_one_log(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    for day, lines in enumerate((["a,x,1,0", "a,y,5,1"], ["b,x,3,0", "b,y,7,oops"])):
        text = "\n".join(["u,i,t,c", *lines])
        (tmp_path / "logs" / f"day{day}.csv").write_text(text)
    (tmp_path / "logs" / "_SUCCESS").write_text("")
    (tmp_path / "logs" / ".hidden.csv").write_text("u,i,t,c\nz,z,1,1\n")
    for name in ("logs", "logs/", "logs/*.csv", "[logs/day1.csv, logs/day0.csv, logs/day0.csv]"):
        (tmp_path / "headrace.yaml").write_text(
            f"events: {{file: {name}, user_id: u, item_id: i, time: {{column: t, unit: s}},"
            " clicked: c}"
        )
        dataset = table.load(tmp_path)
        events = [event for event in dataset.events() if isinstance(event, ImpressionEvent)]
        assert [(event.user_id, event.event_time_ms) for event in events] == [
            ("a", 1_000), ("b", 3_000), ("a", 5_000)
        ]  # fmt: skip
        assert [(row.file, row.line) for row in dataset.bad_rows] == [("logs/day1.csv", 2)]
        assert dataset.counts is not None
        assert dataset.counts.rows == {"logs/day0.csv": 2, "logs/day1.csv": 2}


def test_the_names_of_folders_may_be_a_column(tmp_path: Path) -> None:
    for page in ("front", "search"):
        folder = tmp_path / "log" / f"page={page}"
        folder.mkdir(parents=True)
        (folder / "part-0.csv").write_text("u,i,t,c\na,x,1,0\n".replace("x", page))
    (tmp_path / "headrace.yaml").write_text(
        "events: {file: log, user_id: u, item_id: i, time: {column: t, unit: s}, clicked: c,"
        " surface: page}"
    )
    surfaces = [event.surface for event in table.load(tmp_path).events()]
    assert surfaces == ["front", "search"]


def test_no_file_of_a_name_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("empty", "log/*.csv", "log.csv", "nothing"):
        (tmp_path / "headrace.yaml").write_text(
            f"events: {{file: {name}, user_id: u, item_id: i, time: {{column: t}}, clicked: c}}"
        )
        with pytest.raises(ConfigError, match=r"events\.file: there is no file"):
            table.load(tmp_path)
