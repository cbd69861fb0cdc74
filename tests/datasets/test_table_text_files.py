"""Delimited text of any dialect is read as Python's csv module reads it, in blocks of any size."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headrace.datasets.table import loader as table
from headrace.datasets.table.bad_rows import BadRows
from headrace.datasets.table.files import stream, text
from headrace.datasets.table.files.layout import Layout
from headrace.datasets.table.files.text import TextFile
from headrace.errors import DatasetError

PLAIN = Layout()


def read(path: Path, layout: Layout = PLAIN) -> tuple[list[tuple[int, list[str]]], BadRows]:
    """Each good row with its line, and the bad ones."""
    file, bad = TextFile(path, path.name, layout), BadRows()
    names = file.header()
    rows = []
    for chunk in file.chunks(names, bad):
        cells = zip(*(chunk.columns[name].to_pylist() for name in names), strict=True)
        rows += zip(chunk.line_N.tolist(), map(list, cells), strict=True)
    return rows, bad


def expected(content: str, delimiter: str, quoting: bool, width: int) -> list[list[str] | None]:
    """Each row as Python's csv reads it, None where it is bad, nothing where a line is blank."""
    rule = csv.QUOTE_MINIMAL if quoting else csv.QUOTE_NONE
    reader = csv.reader(
        io.StringIO(content, newline=""), delimiter=delimiter, quoting=rule, strict=True
    )
    rows: list[list[str] | None] = []
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return rows
        except csv.Error as error:
            if "unexpected end" in str(error):
                raise DatasetError(str(error)) from None
            rows.append(None)
        else:
            rows.append(cells if len(cells) == width else None if cells else [])


PIECES = st.sampled_from(
    ['"', '""', ",", ";", "\n", "\r\n", "\r", "\n\n", "a", "bc", " ", "é", "漢", '",', ',"', '"\n']
)


@settings(max_examples=150, deadline=None)
@given(
    pieces=st.lists(PIECES, max_size=40),
    size=st.integers(1, 12),
    delimiter=st.sampled_from([",", ";"]),
    quoting=st.booleans(),
)
@example(['"', "a", "\n", "b", '"', "\n"], 1, ",", True)
@example(["a", '"', "b", "\n", "c", "\n"], 2, ",", True)
def test_any_text_is_read_as_pythons_csv_reads_it(
    tmp_path_factory: pytest.TempPathFactory,
    pieces: list[str],
    size: int,
    delimiter: str,
    quoting: bool,
) -> None:
    path = tmp_path_factory.mktemp("text") / "t.csv"
    header, content = f"one{delimiter}two\n", "".join(pieces)
    path.write_bytes((header + content).encode())
    layout = Layout(delimiter=delimiter, quoting=quoting)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "BLOCK_BYTES", size)
        patch.setattr(stream, "BLOCK_BYTES", size)
        try:
            wanted = expected(content, delimiter, quoting, 2)
        except DatasetError:
            with pytest.raises(DatasetError, match="is never closed"):
                read(path, layout)
            return
        rows, bad = read(path, layout)
    assert rows == [(line, row) for line, row in enumerate(wanted, 1) if row]
    assert bad.by_file.total() == wanted.count(None)


@pytest.mark.parametrize("length", [131_072, 131_073, 6_000_000])
@pytest.mark.parametrize("quote", ["", '"'])
def test_a_cell_may_have_any_length(tmp_path: Path, length: int, quote: str) -> None:
    cell = "x, y\n" * (length // 5) if quote else "x" * length
    (tmp_path / "t.csv").write_text(f"id,text\n1,{quote}{cell}{quote}\n2,ok\n", newline="")
    rows, bad = read(tmp_path / "t.csv")
    assert [(line, row[0], len(row[1])) for line, row in rows] == [(1, "1", len(cell)), (2, "2", 2)]
    assert not bad.by_file


def test_a_quote_in_a_tsv_is_a_character(tmp_path: Path) -> None:
    (tmp_path / "headrace.yaml").write_text(
        "events: {file: e.csv, user_id: u, item_id: i, time: {column: t}, clicked: c}\n"
        "items: {file: items.tsv, item_id: id, title: name}"
    )
    (tmp_path / "e.csv").write_text("u,i,t,c\na,1,2024-05-01T00:00:00Z,1\n")
    (tmp_path / "items.tsv").write_text('id\tname\n1\t"Best of\n2\tMug\n3\tTV 42"\n4\t"Cap"\n')
    titles = [item.title for item in table.load(tmp_path).items]
    assert titles == ['"Best of', "Mug", 'TV 42"', '"Cap"']


@pytest.mark.parametrize("delimiter", [",", ";", "|", "\t", "\x01", "::", "||", "§", "→", " "])
@pytest.mark.parametrize("quoting", [True, False])
def test_a_delimiter_may_be_any_text(tmp_path: Path, delimiter: str, quoting: bool) -> None:
    quoted = f'"a{delimiter}b ""c"""' if quoting else "a"
    lines = [f"one{delimiter}two", f"{quoted}{delimiter}2", f"é{delimiter}", f"{delimiter}4"]
    (tmp_path / "t.txt").write_text("\n".join(lines))
    rows, bad = read(tmp_path / "t.txt", Layout(delimiter=delimiter, quoting=quoting))
    first = f'a{delimiter}b "c"' if quoting else "a"
    assert [row for _, row in rows] == [[first, "2"], ["é", ""], ["", "4"]]
    assert not bad.by_file


@pytest.mark.parametrize(
    ("encoding", "word"),
    [
        ("utf-8", "Straße 漢"),
        ("utf-8-sig", "Straße 漢"),
        ("utf-16", "Straße 漢"),
        ("utf-16-le", "Straße 漢"),
        ("latin-1", "Straße"),
        ("cp1252", "10 €"),
        ("cp1251", "Кружка"),
        ("shift_jis", "マグ"),
        ("gb18030", "杯子"),
    ],
)
def test_a_file_may_have_any_encoding(tmp_path: Path, encoding: str, word: str) -> None:
    content = "".join(f"{number},{word}\n" for number in range(3_000))
    (tmp_path / "t.csv").write_bytes(f"id,{word}\n{content}".encode(encoding))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "BLOCK_BYTES", 1_001)  # cuts characters
        patch.setattr(text, "BLOCK_BYTES", 1_001)
        rows, bad = read(tmp_path / "t.csv", Layout(encoding=encoding))
    assert len(rows) == 3_000 and {row[1] for _, row in rows} == {word}
    assert not bad.by_file and TextFile(tmp_path / "t.csv", "", Layout(encoding=encoding)).header()


def test_bytes_that_the_encoding_does_not_know_spoil_their_row_only(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"id,name\n1,caf\xe9\n2,ok\n3,\xff\n")
    rows, bad = read(tmp_path / "t.csv")
    assert rows == [(2, ["2", "ok"])]
    assert [(row.line, row.column, row.reason) for row in bad.examples()] == [
        (1, "name", "not UTF-8 text"),
        (3, "name", "not UTF-8 text"),
    ]
    (tmp_path / "t.csv").write_bytes(b"id,name\n1,\x81\n2,\x80\n")  # 81 is nothing in cp1252
    rows, bad = read(tmp_path / "t.csv", Layout(encoding="cp1252"))
    assert rows == [(2, ["2", "€"])] and bad.examples()[0].reason == "not CP1252 text"


def test_a_column_that_nobody_maps_spoils_no_row(tmp_path: Path) -> None:
    (tmp_path / "headrace.yaml").write_text(
        "events: {file: e.csv, user_id: u, item_id: i, time: {column: t}, clicked: c}"
    )
    (tmp_path / "e.csv").write_bytes(b"u,i,t,c,note\na,1,2024-05-01,1,\xff\xfe\n")
    assert table.load(tmp_path).num_bad_rows == 0


def test_files_without_a_header_have_names_by_number_or_as_given(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\nc,d\n")
    assert TextFile(tmp_path / "t.csv", "", Layout(header=False)).header() == ["1", "2"]
    named = Layout(header=False, names=("x", "y"))
    assert read(tmp_path / "t.csv", named)[0] == [(1, ["a", "b"]), (2, ["c", "d"])]
    renamed = Layout(header=True, names=("x", "y"))
    assert read(tmp_path / "t.csv", renamed)[0] == [(1, ["c", "d"])]
    with pytest.raises(DatasetError, match="3 names are given for 2 columns"):
        read(tmp_path / "t.csv", Layout(header=False, names=("x", "y", "z")))


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize("parts", [1, 2])
def test_compressed_files_are_read_like_others(tmp_path: Path, suffix: str, parts: int) -> None:
    compress = gzip.compress if suffix == ".gz" else zstandard.ZstdCompressor().compress
    lines = [b"u,i\n", *(b"a,%d\n" % number for number in range(1_000))]
    half = len(lines) // parts
    pieces = [b"".join(lines[at : at + half]) for at in range(0, len(lines), half)]
    path = tmp_path / f"t.csv{suffix}"
    path.write_bytes(b"".join(map(compress, pieces)))  # writers append members
    assert len(read(path)[0]) == 1_000
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DatasetError, match="cannot be read"):
        read(path)


def test_lines_of_any_kind_are_counted_as_an_editor_counts_rows(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b'a,b\r\n1,"x\r\ny"\r\n\r\n2,z\r3,w\r\nbad\r\n')
    rows, bad = read(tmp_path / "t.csv")
    assert rows == [(1, ["1", "x\r\ny"]), (3, ["2", "z"]), (4, ["3", "w"])]
    assert [(row.line, row.reason) for row in bad.examples()] == [(5, "1 values, the header has 2")]
