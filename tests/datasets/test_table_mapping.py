"""`headrace.yaml` is strict, and all that is wrong with it is said at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.datasets.table import loader as table
from headrace.datasets.table import mapping as table_mapping
from headrace.datasets.table.mapping import Labels, Rank, Share, Threshold, Time
from headrace.errors import ConfigError, DatasetError

EVENTS = "file: e.csv, user_id: u, item_id: i, time: {column: t, unit: ms}, clicked: c"


def write(folder: Path, text: str) -> Path:
    (folder / "headrace.yaml").write_text(text, encoding="utf-8")
    return folder


def test_a_short_mapping_has_plain_columns(tmp_path: Path) -> None:
    mapping = table_mapping.read(write(tmp_path, f"events: {{{EVENTS}}}\nusers:\n"))
    assert mapping.events.time == Time(column="t", unit="ms")
    assert mapping.events.clicked == "c" and mapping.events.position is None
    assert mapping.items is None and mapping.users is None


def test_a_column_may_carry_its_own_keys(tmp_path: Path) -> None:
    text = (
        "events: {file: e.csv, user_id: u, item_id: i, time: {column: t, unit: iso},"
        " clicked: {column: stars, at_least: 4}, position: {column: rank, first: 1},"
        " value: {column: stars, of: 5}}\n"
        "items: {file: i.tsv, item_id: i, categories: {column: tags}, attributes: [a, b]}"
    )
    mapping = table_mapping.read(write(tmp_path, text))
    assert mapping.events.clicked == Threshold(column="stars", at_least=4)
    assert mapping.events.position == Rank(column="rank", first=1)
    assert mapping.events.value == Share(column="stars", of=5)
    assert mapping.items is not None
    assert mapping.items.categories == Labels(column="tags", separator="|")
    assert list(table_mapping.columns(mapping.items)) == [
        ("item_id", "i"),
        ("categories", "tags"),
        ("attributes", "a"),
        ("attributes", "b"),
    ]


def test_outcomes_are_actions_of_the_table(tmp_path: Path) -> None:
    text = f"events: {{{EVENTS}, outcomes: {{like: l, long_view: {{column: s, at_least: 9}}}}}}"
    events = table_mapping.read(write(tmp_path, text)).events
    assert events.outcomes == {"like": "l", "long_view": Threshold(column="s", at_least=9)}
    columns = [column for _, column in table_mapping.columns(events)]
    assert columns == ["u", "i", "t", "c", "l", "s"]


@pytest.mark.parametrize("name", ["click", "wink"])
def test_an_outcome_that_is_no_further_action_is_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path, f"events: {{{EVENTS}, outcomes: {{{name}: w}}}}")
    with pytest.raises(ConfigError, match=f"got '{name}', expected some of: like, long_view"):
        table_mapping.read(tmp_path)


def test_all_problems_are_reported_at_once_with_their_keys(tmp_path: Path) -> None:
    text = (
        "events: {file: e.xlsx, user_id: 7, time: {column: t, unit: days, zones: CET}, clickd: c,"
        " clicked: {column: stars, atleast: 4}, position: {first: 1},"
        " value: {column: stars, of: 0}, outcomes: {like: {}}}\n"
        "items: [mug, pen]\nuser: {}"
    )
    with pytest.raises(ConfigError) as caught:
        table_mapping.read(write(tmp_path, text))
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'headrace.yaml'}: ") and "\n" not in message
    for problem in (
        "user: unknown key (did you mean users?), known here: actions, ",
        "events.clickd: unknown key",
        "events.file: got 'e.xlsx'",
        "events.user_id: got 7",
        "events.item_id: missing",
        "events.time.zones: unknown key",
        "events.time.unit: got 'days'",
        "events.clicked.atleast: unknown key",
        "events.clicked.at_least: missing",
        "events.position.column: missing",
        "events.value.of: got 0",
        "events.outcomes: got {'like': {}}",
        "items: got ['mug', 'pen'], expected the keys file, item_id",
    ):
        assert problem in message


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty, expected at least the key events"),
        ("# only a comment", "is empty"),
        ("events", "got 'events', expected sections by name"),
        ("events: {file: [", "not YAML"),
        ("events: {time: t}", "events.time: got 't', expected the keys column, unit"),
        ("items: {file: i.csv, item_id: i}", "events: missing"),
    ],
)
def test_a_mapping_that_is_none_says_so(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        table_mapping.read(write(tmp_path, text))
    assert problem in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_mapping_is_a_dataset_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"headrace\.yaml: no such file"):
        table_mapping.read(tmp_path)


def test_missing_files_and_columns_are_reported_together(tmp_path: Path) -> None:
    text = f"events: {{{EVENTS}}}\nitems: {{file: i.csv, item_id: i, attributes: [x, y]}}\n"
    text += "users: {file: u.parquet, user_id: u}"
    write(tmp_path, text)
    (tmp_path / "e.csv").write_text("u,i,when,c,c\n")
    (tmp_path / "i.csv").write_text("")
    with pytest.raises(ConfigError) as caught:
        table.load(tmp_path)
    message = str(caught.value)
    for problem in (
        "events.time: e.csv has no column 't'; it has u, i, when, c, c",
        "events.clicked: e.csv has more than one column 'c'",
        "items.attributes: i.csv has no column 'y'; it is empty",
        f"users.file: there is no file {tmp_path / 'u.parquet'}",
    ):
        assert problem in message


@pytest.mark.parametrize("content", [b"u,i,t,c\xe9\n", b'u,"i\n', "u,i\n".encode("utf-16")])
def test_a_header_that_cannot_be_read_is_a_dataset_error(tmp_path: Path, content: bytes) -> None:
    write(tmp_path, f"events: {{{EVENTS}}}")
    (tmp_path / "e.csv").write_bytes(content)
    with pytest.raises(DatasetError, match=r"e\.csv: the header"):
        table.load(tmp_path)
