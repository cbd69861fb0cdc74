"""Several items in one cell of a user's own table."""

from __future__ import annotations

from pathlib import Path

from table_folder import bad, events

from headrace.catalogue.item import Dataset
from headrace.datasets.table import loader as table

SEVERAL = "item_ids: {column: items, separator: ' ', outcome_separator: '-'}"


def several(folder: Path, keys: str, *rows: str) -> Dataset:
    (folder / "headrace.yaml").write_text(
        f"events: {{file: e.csv, user_id: u, time: {{column: t, unit: s}}, {keys}}}"
    )
    (folder / "e.csv").write_text("\n".join(["u,t,items,r", *rows]) + "\n")
    return table.load(folder)


def test_a_cell_may_show_several_items_and_say_what_came_of_each(tmp_path: Path) -> None:
    rows = ("a,1,N1-0 N-2-1,r1", "b,2,N1-1  N3-0 ,r1", "c,3,,r2", "d,4,N1 N2-1,r3", "e,x,N1-1,r4",
            "f,5,N1-2,r5", "g,6,-1,r6")  # fmt: skip
    dataset = several(tmp_path, f"{SEVERAL}, request_id: r", *rows)
    assert events(dataset) == [
        ("shown", 1, "a", {"N1": "", "N-2": "click"}),
        ("shown", 2, "b", {"N1": "click", "N3": ""}),
        ("shown", 4, "d", {"N2": "click"}),
    ]
    assert [(line, column) for line, column, _ in bad(dataset)] == [
        (3, "items"), (4, "items"), (5, "t"), (6, "items"), (7, "items")
    ]  # fmt: skip
    without = several(tmp_path, SEVERAL, *rows)
    assert events(without) == events(dataset)


def test_a_cell_may_be_a_basket(tmp_path: Path) -> None:
    keys = "item_ids: {column: items, separator: ;}, action: {always: purchase}"
    dataset = several(tmp_path, keys, "a,1,x;y,", "b,2,z,")
    assert [event[3] for event in events(dataset)] == ["x", "y", "z"]
