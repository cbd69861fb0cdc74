"""The items' content on disk: what encoders will read, and hashes that change when it does."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.outside import NO_DATA, larger_data
from headrace.catalogue import content
from headrace.catalogue.content import FILES, MODALITIES, Modality
from headrace.catalogue.item import Content, Dataset, Item
from headrace.datasets.movielens import loader as movielens
from headrace.datasets.table import loader as table
from headrace.errors import DatasetError

MUG = Item("mug", "Coffee mug", ("kitchen", "gift"), ("colour=red",))
ITEMS = (MUG, Item("pen", "Pen"), Item("lamp"))
REAL = larger_data("movielens")


def write(folder: Path, *contents: Content, items: Sequence[Item] = ITEMS) -> None:
    dataset = Dataset("table", tuple(items), (), lambda: iter(()), 0, 0, 0)
    content.write_content(replace(dataset, contents=lambda: iter(contents)), folder)


def values(folder: Path, modality: Modality) -> dict[str, content.Value]:
    rows = pq.read_table(folder / content.CONTENT_FILE)
    return dict(zip(rows["item_id"].to_pylist(), content.values(rows, modality), strict=True))


def test_the_text_of_an_item_is_its_title_categories_and_description(tmp_path: Path) -> None:
    write(tmp_path, Content("mug", "It holds 0.3 l."), Content("pen", None))
    assert values(tmp_path, "text") == {
        "mug": "Coffee mug. kitchen, gift. It holds 0.3 l.",
        "pen": "Pen",
        "lamp": None,
    }


def test_pictures_are_bytes_or_absolute_paths_and_vectors_numbers(tmp_path: Path) -> None:
    write(
        tmp_path,
        Content("mug", files={"image": b"\xff\xd8"}, vector=(1, 0.5)),
        Content("pen", files={"image": Path("pen.jpg")}),
    )
    pen = str(Path.cwd() / "pen.jpg")
    assert values(tmp_path, "image") == {"mug": b"\xff\xd8", "pen": pen, "lamp": None}
    assert values(tmp_path, "vector") == {"mug": [1, 0.5], "pen": None, "lamp": None}


def test_each_item_of_the_catalogue_has_one_row_whatever_the_contents_name(tmp_path: Path) -> None:
    write(tmp_path, Content("cup", "?"), Content("pen", "a"), Content("pen", "b"))
    assert values(tmp_path, "text") == {
        "pen": "Pen. a",
        "mug": "Coffee mug. kitchen, gift",
        "lamp": None,
    }
    assert len(pq.read_table(tmp_path / content.CONTENT_FILE)) == 3


def test_the_usual_width_of_the_vectors_is_kept(tmp_path: Path) -> None:
    write(tmp_path, Content("mug", vector=(1,)), Content("pen", vector=(1, 2)), Content("lamp"))
    assert content.vector_width(tmp_path) in (1, 2)
    items = [Item(f"i{n}") for n in range(5)]
    widths = (3, 4, 3, 2, 3)
    given = [Content(i.item_id, vector=(0.0,) * w) for i, w in zip(items, widths, strict=True)]
    write(tmp_path, *given, items=items)
    assert content.vector_width(tmp_path) == 3
    write(tmp_path)
    assert content.vector_width(tmp_path) == 0


def test_a_hash_changes_with_its_value_only(tmp_path: Path) -> None:
    photo = tmp_path / "mug.jpg"
    before = Content("mug", "red", (1.0, 2.0), dict.fromkeys(FILES, photo))

    def hashes(given: Content) -> dict[Modality, int | None]:
        write(tmp_path, given)
        return {m: content.read_hashes(tmp_path, m)["mug"] for m in MODALITIES}

    first = hashes(before)
    assert hashes(before) == first and None not in first.values()
    changed: list[tuple[Modality, Content]] = [
        ("text", replace(before, description="blue")),
        *((m, replace(before, files={**before.files, m: b"photo"})) for m in FILES),
        ("vector", replace(before, vector=(1.0, 2.5))),
    ]
    for modality, after in changed:
        assert {m for m, h in hashes(after).items() if h != first[m]} == {modality}
    photo.write_bytes(b"now it is there")
    there = hashes(before)
    os.utime(photo, ns=(1, 1))
    touched = hashes(before)
    assert len({one["image"] for one in (first, there, touched)}) == 3


def test_without_a_value_there_is_no_hash(tmp_path: Path) -> None:
    write(tmp_path, Content("mug", files={"image": b"x"}))
    assert content.read_hashes(tmp_path, "vector") == {"mug": None, "pen": None, "lamp": None}
    assert content.read_hashes(tmp_path, "text")["lamp"] is None


def test_a_catalogue_without_content_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="content.parquet.*run `headrace materialize"):
        content.vector_width(tmp_path)


@pytest.mark.skipif(not REAL, reason=NO_DATA)
def test_movielens_has_plots_posters_and_trailer_features(tmp_path: Path) -> None:
    content.write_content(movielens.load(REAL), tmp_path)
    missing = {
        m: sum(h is None for h in content.read_hashes(tmp_path, m).values()) for m in MODALITIES
    }
    assert missing == {"text": 0, "image": 265, "audio": 1_682, "video": 1_682, "vector": 653}
    assert content.vector_width(tmp_path) == 7
    text = str(values(tmp_path, "text")["1"])
    assert text.startswith("Toy Story. Animation, Children's, Comedy. A little boy named Andy")


def test_movielens_of_the_wheel_has_titles_and_genres(tmp_path: Path) -> None:
    content.write_content(movielens.load(None), tmp_path)
    assert values(tmp_path, "text")["1"] == "Toy Story. Animation, Children's, Comedy"
    assert not any(values(tmp_path, "image").values())


SHOP = """
events: {file: e.csv, user_id: u, item_id: i, time: {column: t, unit: s}, clicked: c}
items: {file: items.FORM, item_id: id, description: d, image: p, vector: v}
"""


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_your_own_items_have_what_the_mapping_names(form: str, tmp_path: Path) -> None:
    (tmp_path / "headrace.yaml").write_text(SHOP.replace("FORM", form))
    (tmp_path / "e.csv").write_text("u,i,t,c\nann,mug,1,1\n")
    if form == "csv":
        (tmp_path / "items.csv").write_text("id,d,p,v\nmug,Red,a/b.jpg,1| 2.5|x\npen,,,\n")
    else:
        rows = [
            {"id": "mug", "d": "Red", "p": b"jpeg", "v": [1.0, 2.5, None]},
            {"id": "pen", "d": None, "p": None, "v": None},
        ]
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "items.parquet")
    mug, pen = table.load(tmp_path).contents()
    assert (mug.item_id, mug.description) == ("mug", "Red")
    assert mug.files == {"image": tmp_path / "a/b.jpg" if form == "csv" else b"jpeg"}
    assert mug.vector is not None and mug.vector[:2] == (1, 2.5) and np.isnan(mug.vector[2])
    assert pen == Content("pen")
