"""A file that nobody described: how it seems to be written, and what its columns seem to be."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.datasets.table.files.layout import Layout
from headrace.datasets.table.guess import ColumnGuess, guess
from headrace.datasets.table.sniff import FileGuess, sniff
from headrace.errors import DatasetError


def written(folder: Path, name: str, content: str | bytes) -> FileGuess:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return sniff(folder / name)


DIALECTS: list[tuple[str, str | bytes, Layout]] = [
    ("a.csv", "user,item\nann,mug\nbob,pen\n", Layout()),
    ("a.csv", 'a;b\n"x;1";2,5\ny;3,5\n', Layout(delimiter=";")),
    ("a.txt", "a|b|c\n1,5|2|3\n1,6|3|4\n", Layout(delimiter="|")),
    ("a.csv", "a\tb\n1\t2\n", Layout(delimiter="\t")),
    ("a.tsv", 'id\tname\n1\t"Best of\n2\tTV 42"\n', Layout(delimiter="\t", quoting=False)),
    ("u.data", "1\t2\t3\t978300760\n1\t3\t4\t978302109\n", Layout(delimiter="\t", header=False)),
    ("r.dat", "1::1193::5::978300760\n1::661::3::9783021\n", Layout(delimiter="::", header=False)),
    ("a.csv", "name\nmug\npen\n", Layout()),
    ("a.csv", "ann,mug\nbob,pen\nann,pen\n", Layout(header=False)),  # a first cell comes again
    ("a.csv", "name,prix\nThé,1\n".encode("latin-1"), Layout(encoding="cp1252")),
    ("a.csv", "name,prix\n10 €,1\n".encode("cp1252"), Layout(encoding="cp1252")),
    ("a.csv", "\ufeffname,n\nmug,1\n", Layout()),
    ("a.csv", "name,n\nmug,1\n".encode("utf-16"), Layout(encoding="utf-16")),
    ("a.csv", "", Layout()),
    ("a.csv.gz", gzip.compress(b"a;b\n1;2\n"), Layout(delimiter=";")),
    ("a.jsonl", '{"a": 1}\n', Layout(kind="jsonl")),
    ("a.log", '{"a": 1}\n', Layout(kind="jsonl")),
    ("a.csv", '"order","city"\n"1","São Paulo, SP"\n', Layout()),
]


@pytest.mark.parametrize(("name", "content", "layout"), DIALECTS)
def test_the_dialect_of_a_file_is_recognised(
    tmp_path: Path, name: str, content: str | bytes, layout: Layout
) -> None:
    assert written(tmp_path, name, content).layout == layout


COLUMNS: list[tuple[list[str], dict[str, Any]]] = [
    (["1", "0", ""], {"kind": "boolean", "num_missing": 1}),
    (["true", "FALSE"], {"kind": "boolean"}),
    (["17", "18", "-3"], {"kind": "whole"}),
    (["1.5", "2", "1e3"], {"kind": "number"}),
    (["1.234,50 €", "12,00 €"], {"kind": "number", "patterns": ("1.234,50 €",)}),
    (["$1,234.50", "$2.00"], {"kind": "number", "patterns": ("$1,234.50",)}),
    (["u62", "u34", "u8"], {"kind": "text"}),
    (["85123A", "71053"], {"kind": "text"}),
    (["1714564800", "1714564801"], {"kind": "time", "unit": "s"}),
    (["1714564800000"], {"kind": "time", "unit": "ms"}),
    (["1714564800000000"], {"kind": "time", "unit": "us"}),
    (["2024-05-01T12:00:00Z", "2024-05-01"], {"kind": "time", "unit": "iso"}),
    (["31.12.2024 12:00"], {"kind": "time", "patterns": ("%d.%m.%Y %H:%M",)}),
    (["12/13/2010 8:26", "1/2/2010 8:27"], {"kind": "time", "patterns": ("%m/%d/%Y %H:%M",)}),
    (["1/2/2010"], {"kind": "time", "patterns": ("%m/%d/%Y", "%d/%m/%Y")}),  # a person must say
    (["11/15/2019 9:05:58 AM"], {"kind": "time", "patterns": ("%m/%d/%Y %I:%M:%S %p",)}),
    (["a|b", "b|c", "a|c"], {"kind": "list", "separator": "|"}),
    (["N1 N2", "N2 N3 N1"], {"kind": "list", "separator": " "}),
    (["Coffee mug", "Coffee cup"], {"kind": "text"}),
    (["images/1.jpg", "images/2.PNG"], {"kind": "picture"}),
    (["https://x.example/a", "http://y.example"], {"kind": "address"}),
    (["<p>A mug</p>", "plain"], {"kind": "html"}),
    (["NULL", "red", "\\N"], {"kind": "text", "null_words": ("NULL", "\\N")}),
    (["", " "], {"kind": "empty", "num_missing": 2}),
]


@pytest.mark.parametrize(("cells", "told"), COLUMNS, ids=lambda value: str(value)[:40])
def test_the_cells_of_a_column_are_recognised(cells: list[str], told: dict[str, Any]) -> None:
    found = guess("x", cells)
    texts = [cell.strip() for cell in cells if cell.strip()]
    values = tuple(dict.fromkeys(text for text in texts if text not in ("NULL", "\\N")))
    assert found == ColumnGuess("x", samples=values[:5], num_distinct=len(values), **told)


def test_columns_of_parquet_are_recognised_by_their_types(tmp_path: Path) -> None:
    moment = datetime(2024, 5, 1, tzinfo=UTC)
    table = pa.table(
        {
            "id": pa.array([7, None]),
            "at": pa.array([moment, moment], pa.timestamp("ns", "UTC")),
            "tags": [["a"], []],
            "picture": [b"\xff\xd8", None],
            "name": [b"Mug", b"Pen"],
            "shot": [{"bytes": b"\xff", "path": None}, None],
            "more": pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())),
        }
    )
    pq.write_table(table, tmp_path / "x.bin")
    found = sniff(tmp_path / "x.bin")
    assert found.layout.kind == "parquet" and found.num_rows == 2
    kinds = {column.name: column.kind for column in found.columns}
    assert kinds == {
        "id": "whole", "at": "time", "tags": "list", "picture": "picture", "name": "text",
        "shot": "picture", "more": "other",
    }  # fmt: skip
    at = found.column("at")
    assert at is not None and at.unit == "iso" and found.column("gone") is None


def test_what_is_found_reads_the_file(tmp_path: Path) -> None:
    found = written(tmp_path, "a.txt", "a::b\nx::1\ny::2\n")
    assert [column.samples for column in found.columns] == [("x", "y"), ("1", "2")]
    assert (found.num_rows, found.columns[0].name) == (2, "a")


def test_a_large_file_is_looked_at_only_at_its_beginning(tmp_path: Path) -> None:
    lines = "".join(f"{number},x\n" for number in range(200_000))
    assert written(tmp_path, "a.csv", f"id,name\n{lines}").num_rows == 1_000


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"none\.csv: no such file"):
        sniff(tmp_path / "none.csv")
