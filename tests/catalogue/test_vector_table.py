"""Vector tables: versions apart, finished runs only, each item once, and of what it holds now."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from headrace.catalogue.vector_table import SCHEMA, VectorTable, available, take_over
from headrace.errors import DatasetError

Rows = dict[str, tuple[int, list[float] | None]]


def rows(given: Rows) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {"item_id": i, "content_hash": h, "vector": v, "problem": None if v else "broken"}
            for i, (h, v) in given.items()
        ],
        SCHEMA,
    )


def held(table: VectorTable) -> Rows:
    return {
        row["item_id"]: (row["content_hash"], row["vector"]) for row in table.read().to_pylist()
    }


@pytest.fixture
def table(tmp_path: Path) -> VectorTable:
    return VectorTable(tmp_path, "text_x/1")


def test_rows_are_read_after_the_run_finished_and_remembered_before(table: VectorTable) -> None:
    assert table.encoded() == {}
    table.append(rows({"mug": (5, [1.0, 2.0]), "pen": (-6, None)}))
    table.append(rows({"lamp": (0, [3.0, 4.0])}))
    assert table.encoded() == {"mug": 5, "pen": -6, "lamp": 0}
    with pytest.raises(
        DatasetError, match="no content vectors 'text_x/1' in .*run `headrace encode`"
    ):
        table.read()
    table.finish({"mug": 5, "pen": -6, "lamp": 0})
    assert held(table) == {"mug": (5, [1.0, 2.0]), "pen": (-6, None), "lamp": (0, [3.0, 4.0])}
    assert table.encoded() == {"mug": 5, "pen": -6, "lamp": 0}
    assert [path.name for path in table.folder.iterdir()] == ["vectors.parquet"]


def test_what_is_encoded_anew_replaces_what_was(table: VectorTable) -> None:
    table.append(rows({"mug": (5, [1.0]), "pen": (6, [2.0])}))
    table.finish({"mug": 5, "pen": 6})
    table.append(rows({"mug": (7, [3.0])}))
    assert held(table)["mug"] == (5, [1.0])
    assert table.encoded() == {"mug": 7, "pen": 6}
    table.finish({"mug": 7, "pen": 6})
    assert held(table) == {"mug": (7, [3.0]), "pen": (6, [2.0])}


def test_items_that_are_gone_or_lost_their_content_leave_the_table(table: VectorTable) -> None:
    table.append(rows({"mug": (5, [1.0]), "pen": (6, [2.0]), "lamp": (7, [3.0])}))
    table.finish({"mug": 5, "pen": None})
    assert held(table) == {"mug": (5, [1.0])}


def test_a_row_that_was_kept_twice_is_there_once(table: VectorTable) -> None:
    table.append(rows({"mug": (5, [1.0])}))
    table.append(rows({"mug": (5, [1.0])}))
    table.finish({"mug": 5})
    assert len(table.read()) == 1


def test_a_run_that_found_nothing_to_do_is_finished_too(table: VectorTable) -> None:
    table.finish({"mug": None})
    assert held(table) == {}


def test_versions_are_tables_of_their_own(tmp_path: Path) -> None:
    for name, number in (("text_x/1", 1.0), ("text_x/2", 2.0), ("image_y/1", 3.0)):
        table = VectorTable(tmp_path, name)
        table.append(rows({"mug": (5, [number])}))
        table.finish({"mug": 5})
    assert held(VectorTable(tmp_path, "text_x/1")) == {"mug": (5, [1.0])}
    assert held(VectorTable(tmp_path, "text_x/2")) == {"mug": (5, [2.0])}
    assert available(tmp_path) == ["image_y/1", "text_x/1", "text_x/2"]
    with pytest.raises(DatasetError, match="there are: image_y/1, text_x/1, text_x/2"):
        VectorTable(tmp_path, "text_x/3").read()


def test_tables_of_an_earlier_headrace_are_taken_over_once(tmp_path: Path) -> None:
    root, former = tmp_path / "vectors", tmp_path / "tokens" / "text_x" / "1"
    take_over(root)
    assert not root.exists()
    made = VectorTable(tmp_path / "tokens", "text_x/1")
    made.append(rows({"mug": (5, [1.0])}))
    made.finish({"mug": 5})
    (former / "vectors.parquet").rename(former / "tokens.parquet")
    newer = VectorTable(root, "text_x/2")
    newer.append(rows({"mug": (5, [2.0])}))
    newer.finish({"mug": 5})
    for _ in range(2):
        take_over(root)
        assert available(root) == ["text_x/1", "text_x/2"] and not former.exists()
        assert held(VectorTable(root, "text_x/1")) == {"mug": (5, [1.0])}
        assert held(newer) == {"mug": (5, [2.0])}
