"""What a load counts, so that a person can be told what is odd about his files."""

from __future__ import annotations

from pathlib import Path

import pytest
from table_folder import load

from headrace.catalogue.counts import Counts, Strangers
from headrace.catalogue.item import Dataset
from headrace.datasets.table import bad_rows
from headrace.datasets.table.files import text


def counts(dataset: Dataset) -> Counts:
    assert dataset.counts is not None
    return dataset.counts


def test_every_row_is_bad_merged_idle_or_told(tmp_path: Path) -> None:
    rows = "a,x,1,1,home\na,x,1,0,home\nb,y,2,0,search\n,x,3,1,home\na,y,4,maybe,home\nc\n"
    found = counts(load(tmp_path, rows, "u,i,t,c,s", ", surface: s"))
    assert found == Counts(
        rows={"events.csv": 6},
        bad_rows={"events.csv": 3},
        reasons={
            "(row): another number of values": 1,
            "u: missing": 1,
            "c: expected true, false, 0 or 1": 1,
        },
        num_merged=1,
        num_events=2,
        num_impressions=2,
        num_positives=1,
        actions={**dict.fromkeys(found.actions, 0), "click": 1},
        num_items=2,
        num_users=2,
        surfaces={"home": 1, "search": 1},
        busiest_user=("a", 1),
    )


def test_bad_rows_are_counted_by_reason_and_a_few_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text, "BLOCK_BYTES", 100)
    lines = [f"a,x,t{number},1" if number % 3 else f"a,x,{number},?" for number in range(3_000)]
    dataset = load(tmp_path, "ok,x,1,1\n" + "\n".join(lines) + "\n")
    assert counts(dataset).reasons == {
        "t: expected a number": 2_000,
        "c: expected true, false, 0 or 1": 1_000,
    }
    assert dataset.num_bad_rows == 3_000
    assert len(dataset.bad_rows) == 2 * bad_rows.MAX_EXAMPLES
    assert [row.line for row in dataset.bad_rows[:4]] == [2, 3, 4, 5]


@pytest.mark.parametrize(
    ("ids", "known", "strangers"),
    [
        (["196.0", "50.0", "7"], ["196", "50", "7"], (2, 2, ("196.0", "50.0"), 2, 0)),
        (["7", "42"], ["0007", "0042"], (2, 2, ("7", "42"), 0, 2)),
        (["007", "7"], ["7"], (1, 1, ("007",), 0, 1)),
        (["x", "x", "y", "z"], ["z"], (2, 3, ("x", "y"), 0, 0)),
        (["1", "2"], ["1", "2"], (0, 0, (), 0, 0)),
    ],
)
@pytest.mark.parametrize("side", ["items", "users"])
def test_ids_that_no_file_has_are_counted_with_what_they_may_mean(
    tmp_path: Path, side: str, ids: list[str], known: list[str], strangers: tuple[object, ...]
) -> None:
    (tmp_path / "known.csv").write_text("\n".join(["id", *known]))
    pairs = [(one, "x") if side == "users" else ("x", one) for one in ids]
    rows = "".join(f"{u},{i},{at},1\n" for at, (u, i) in enumerate(pairs))
    key = "user_id" if side == "users" else "item_id"
    found = counts(load(tmp_path, rows, **{side: f"{{file: known.csv, {key}: id}}"}))
    expected = Strangers(*strangers)  # type: ignore[arg-type]
    told = {"items": found.strange_items, "users": found.strange_users}
    assert told.pop(side) == expected and list(told.values()) == [Strangers()]


def test_one_id_that_most_rows_have_is_told(tmp_path: Path) -> None:
    rows = "".join(f"{'0' if at % 4 else at},x,{at},1\n" for at in range(100))
    assert counts(load(tmp_path, rows)).busiest_user == ("0", 76)


def test_words_for_nothing_are_counted_among_ids_too(tmp_path: Path) -> None:
    found = counts(load(tmp_path, "NULL,x,1,1\nnan,x,2,1\na,None,3,0\nb,x,4,0\n"))
    assert found.null_words == {"events.csv: u": 2, "events.csv: i": 1}
