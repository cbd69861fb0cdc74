"""`headrace check`: counts, a few events, bad rows by reason, and each warning."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace import cli
from headrace.clock import now_ms

Capture = pytest.CaptureFixture[str]

NOON_S = 1_714_564_800  # 1 May 2024
MAPPING = """\
events: {file: e.csv, user_id: u, item_id: i, time: {column: t, unit: TIME}, clicked: c, VALUE
  surface: s}
items: {file: i.csv, item_id: id, title: name}
users: {file: u.csv, user_id: id, attributes: [tier]}
"""
Row = tuple[Any, ...]  # user, item, seconds after noon, clicked, surface, value


def rows(num: int = 40) -> list[Row]:
    """Rows of which nothing looks wrong: of many users, on two surfaces, half of them clicked."""
    return [
        (f"u{n % 25}", f"i{n % 7}", n, n % 2, ["home", "search"][n // 2 % 2], "")
        for n in range(num)
    ]


def shop(folder: Path, log: Sequence[Row], unit: str = "s", **files: str) -> Path:
    """A folder with this log; its items and users are i0 to i6 and u0 to u24, unless given."""
    lines = [",".join(map(str, (u, i, NOON_S + t, c, s, v))) for u, i, t, c, s, v in log]
    (folder / "e.csv").write_text("\n".join(["u,i,t,c,s,v", *lines]) + "\n")
    items = "\n".join(["id,name", *(f"i{n},Thing {n}" for n in range(7))]) + "\n"
    users = "\n".join(["id,tier", *(f"u{n},gold" for n in range(25))]) + "\n"
    (folder / "i.csv").write_text(files.get("items", items))
    (folder / "u.csv").write_text(files.get("users", users))
    has_values = any(row[5] != "" for row in log)
    mapping = MAPPING.replace("TIME", unit).replace("VALUE", "value: v," if has_values else "")
    (folder / "headrace.yaml").write_text(files.get("mapping", mapping))
    return folder


def checked(folder: Path) -> dict[str, Any]:
    """The document that --json writes."""
    path = folder / "out.json"
    assert cli.main(["check", f"--data={folder}", f"--json={path}"]) == 0
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def warnings(folder: Path) -> dict[str, tuple[int, str]]:
    return {one["code"]: (one["count"], one["example"]) for one in checked(folder)["warnings"]}


def test_a_log_of_which_nothing_looks_wrong_has_counts_and_no_warnings(
    tmp_path: Path, capsys: Capture
) -> None:
    assert checked(shop(tmp_path, rows())) == {
        "events": 40,
        "impressions": 40,
        "positives": 20,
        "items": 7,
        "users": 25,
        "bad_rows": {},
        "reasons": {},
        "warnings": [],
    }
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "40 events: 40 impressions, 20 positives; 7 items, 25 users"
    assert said[2:5] == [
        "  2024-05-01T12:00:00+00:00 'u0' on 'home' saw 'i0'",
        "  2024-05-01T12:00:01+00:00 'u1' on 'home' saw 'i1' (click)",
        "  2024-05-01T12:00:02+00:00 'u2' on 'search' saw 'i2'",
    ]
    assert said[5] == "nothing looks wrong"


def test_bad_rows_are_counted_by_file_and_reason_with_the_first_of_each(
    tmp_path: Path, capsys: Capture
) -> None:
    bad: list[Row] = [("u1", "i1", 50, "maybe", "home", ""), ("u2", "i1", 51, "maybe", "home", "")]
    found = checked(shop(tmp_path, [*rows(), *bad], items="id,name\ni0,A\ni0,B\n"))
    assert found["bad_rows"] == {"e.csv": 2, "i.csv": 1}
    assert sum(found["reasons"].values()) == 3
    said = capsys.readouterr().out
    assert "bad rows, left out: e.csv 2, i.csv 1" in said
    assert "\n  2 x c: expected true, false" in said
    assert "\n  e.csv:41: c: expected true, false" in said and "got 'maybe'" in said


def test_a_log_without_impressions_is_told_so(tmp_path: Path) -> None:
    mapping = (
        "events: {file: e.csv, user_id: u, item_id: i, time: {column: t, unit: s},"
        " action: {always: purchase}, surface: s}\n"
    )
    folder = shop(tmp_path, rows(), mapping=mapping)
    assert warnings(folder) == {"no_impressions": (40, "")}
    assert checked(folder)["positives"] == 40 and checked(folder)["impressions"] == 0


def test_a_log_in_which_all_was_chosen_is_one_without_impressions(tmp_path: Path) -> None:
    log = [(u, i, t, 1, s, v) for u, i, t, _, s, v in rows()]
    folder = shop(tmp_path, log)
    assert warnings(folder) == {"no_impressions": (40, "")}
    assert checked(folder)["positives"] == 40 and checked(folder)["impressions"] == 0


def test_impressions_that_were_all_chosen_are_told_so(tmp_path: Path) -> None:
    log = [(u, i, t, 1, s, v) for u, i, t, _, s, v in rows()]
    mapping = (
        "events: {file: e.csv, user_id: u, item_id: i, time: {column: t, unit: s}, clicked: c,"
        " impressions: true, surface: s}\n"
    )
    assert warnings(shop(tmp_path, log, mapping=mapping)) == {"all_positive": (40, "")}


def test_seconds_under_milliseconds_are_told(tmp_path: Path) -> None:
    right = [(u, i, 999 * NOON_S + 1_000 * t, c, s, v) for u, i, t, c, s, v in rows()]
    found = warnings(shop(tmp_path, [*right, *rows(2)], unit="ms"))
    assert [*found] == ["seconds_as_milliseconds"]
    count, example = found["seconds_as_milliseconds"]
    assert (count, example) == (2, "t: a time in seconds")


@pytest.mark.parametrize(
    ("ids", "hint"),
    [
        (["x", "y"], "2 ids; 'x', 'y'"),
        (["007", "007"], "1 ids; '007'; lost leading zeros? (1 ids)"),
        (["7.0", "8"], "2 ids; '7.0', '8'; 7.0 for 7? (1 ids)"),
    ],
)
@pytest.mark.parametrize("place", [0, 1])
def test_ids_in_no_file_are_counted_with_a_guess_at_the_reason(
    tmp_path: Path, ids: list[str], hint: str, place: int
) -> None:
    log = rows()
    for number, one in enumerate(ids):
        row = ["u3", "i3", 50 + number, 0, "home", ""]
        row[place] = one
        log.append(tuple(row))
    items = "\n".join(["id,name", *(f"i{n},Thing" for n in range(7)), "7,Thing"]) + "\n"
    users = "\n".join(["id,tier", *(f"u{n},gold" for n in range(25)), "7,gold"]) + "\n"
    code = ["unknown_users", "unknown_items"][place]
    assert warnings(shop(tmp_path, log, items=items, users=users)) == {code: (2, hint)}


def test_values_without_an_outcome_are_counted(tmp_path: Path) -> None:
    log = [(*row[:5], 9.5) for row in rows()]
    assert warnings(shop(tmp_path, log))["value_without_outcome"] == (20, "")


def test_words_for_nothing_are_counted(tmp_path: Path) -> None:
    users = "\n".join(["id,tier", *(f"u{n},{'NULL' if n < 3 else 'gold'}" for n in range(25))])
    assert warnings(shop(tmp_path, rows(), users=f"{users}\n")) == {
        "null_words": (3, "u.csv: tier")
    }


def test_one_id_that_looks_like_all_guests_is_named(tmp_path: Path) -> None:
    log = [*rows(), *(("u0", "i1", 100 + n, n % 2, "home", "") for n in range(20))]
    assert warnings(shop(tmp_path, log)) == {"one_user_has_most": (22, "'u0' has 22 of 60")}


def test_a_log_of_one_surface_is_told_so(tmp_path: Path) -> None:
    log = [(*row[:4], "front", row[5]) for row in rows()]
    assert warnings(shop(tmp_path, log)) == {"one_surface": (40, "front")}


def test_times_in_the_future_are_told(tmp_path: Path) -> None:
    ahead_s = now_ms() // 1_000 - NOON_S + 86_400
    log = [*rows(), ("u1", "i1", ahead_s, 0, "home", "")]
    found = warnings(shop(tmp_path, log))
    assert [*found] == ["times_in_the_future"] and found["times_in_the_future"][0] == 1


def test_what_cannot_be_loaded_is_one_line_with_exit_code_2(
    tmp_path: Path, capsys: Capture
) -> None:
    folder = shop(tmp_path, rows(), unit="ms")
    assert cli.main(["check", f"--data={folder}"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("headrace check: ") and said.count("\n") == 1
    assert "no usable row; 40 bad rows" in said
    assert cli.main(["check", f"--data={folder}", f"--json={folder / 'none' / 'o.json'}"]) == 2
    assert "there is no folder" in capsys.readouterr().err


def test_any_log_that_is_known_can_be_checked(tmp_path: Path) -> None:
    tables: dict[str, dict[str, list[Any]]] = {
        "ratings": {"user_id": [1], "item_id": [7], "rating": [4], "timestamp": [900_000_000]},
        "items": {"item_id": [7], "title": ["Twelve Monkeys"], "year": ["1995"],
                  "genres": ["Drama"]},
        "users": {"user_id": [1], "age": [24], "gender": ["M"], "occupation": ["technician"]},
    }  # fmt: skip
    for name, columns in tables.items():
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    found = checked(tmp_path)
    assert (found["events"], found["impressions"], found["positives"]) == (1, 1, 1)
