"""Content vectors by item key: the right row or none, whatever the order and the widths."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from headrace.catalogue.vector_table import SCHEMA, VectorTable
from headrace.catalogue.vectors import ContentVectors, VectorColumn
from headrace.errors import DatasetError
from headrace.keys import key

Vectors = dict[str, list[float] | None]


def write(root: Path, name: str, vectors: Vectors) -> None:
    table = VectorTable(root, name)
    table.append(
        pa.Table.from_pylist(
            [{"item_id": i, "content_hash": 1, "vector": v} for i, v in vectors.items()], SCHEMA
        )
    )
    table.finish(dict.fromkeys(vectors, 1))


def keys(*item_ids: str) -> NDArray[np.int64]:
    return np.array([key(item_id) for item_id in item_ids], dtype=np.int64)


def test_each_item_has_its_vector_of_each_modality_or_a_mask(tmp_path: Path) -> None:
    write(tmp_path, "text/1", {"mug": [1, 2], "pen": None})
    write(tmp_path, "image/1", {"pen": [3, 4, 5], "mug": [6, 7, 8]})
    vectors = ContentVectors.read(tmp_path, ["text/1", "image/1"])
    vector_UMD, mask_UM = vectors.vectors(keys("pen", "cup", "mug", "pen"))
    assert (vectors.names, vectors.widths) == (("text/1", "image/1"), (2, 3))
    assert vector_UMD.dtype == np.float32 and mask_UM.dtype == np.bool_
    none = [0, 0, 0]
    pen = [none, [3, 4, 5]]
    assert vector_UMD.tolist() == [pen, [none, none], [[1, 2, 0], [6, 7, 8]], pen]
    assert mask_UM.tolist() == [[False, True], [False, False], [True, True], [False, True]]


def test_a_table_without_vectors_masks_everything(tmp_path: Path) -> None:
    write(tmp_path, "text/1", {"mug": [1, 2]})
    write(tmp_path, "image/1", {"mug": None})
    vector_UMD, mask_UM = ContentVectors.read(tmp_path, ["image/1", "text/1"]).vectors(keys("mug"))
    assert vector_UMD.tolist() == [[[0, 0], [1, 2]]] and mask_UM.tolist() == [[False, True]]


def test_no_items_and_no_tables_have_shapes_too(tmp_path: Path) -> None:
    write(tmp_path, "text/1", {"mug": [1, 2]})
    vector_UMD, mask_UM = ContentVectors.read(tmp_path, ["text/1"]).vectors(keys())
    assert vector_UMD.shape == (0, 1, 2) and mask_UM.shape == (0, 1)
    vector_UMD, mask_UM = ContentVectors.read(tmp_path, []).vectors(keys("mug"))
    assert vector_UMD.shape == (1, 0, 0) and mask_UM.shape == (1, 0)


def test_only_the_version_that_was_asked_for_is_read(tmp_path: Path) -> None:
    write(tmp_path, "text/1", {"mug": [1, 2]})
    write(tmp_path, "text/2", {"mug": [3, 4]})
    vector_UMD, _ = ContentVectors.read(tmp_path, ["text/1"]).vectors(keys("mug"))
    assert vector_UMD.tolist() == [[[1, 2]]]
    with pytest.raises(
        DatasetError, match="no content vectors 'text/3'.*there are: text/1, text/2"
    ):
        ContentVectors.read(tmp_path, ["text/3"])


def test_vectors_of_different_widths_in_one_table_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "text/1", {"mug": [1, 2], "pen": [1, 2, 3], "cup": None})
    with pytest.raises(DatasetError, match="content vectors 'text/1' have widths 2, 3"):
        ContentVectors.read(tmp_path, ["text/1"])


IDS = st.sampled_from([f"i{n}" for n in range(12)])
NUMBERS = st.floats(-9, 9, width=32)


@settings(max_examples=30)
@given(
    st.dictionaries(IDS, st.none() | st.lists(NUMBERS, min_size=2, max_size=2)),
    st.lists(IDS, max_size=20),
)
def test_lookup_is_that_of_a_dictionary(vectors: Vectors, asked: list[str]) -> None:
    with TemporaryDirectory() as folder:
        write(Path(folder), "text/1", vectors)
        vector_UMD, mask_UM = ContentVectors.read(Path(folder), ["text/1"]).vectors(keys(*asked))
    for row, item_id in enumerate(asked):
        expected = vectors.get(item_id)
        assert mask_UM[row, 0] == (expected is not None)
        assert vector_UMD[row, 0].tolist() == (expected or [0] * vector_UMD.shape[2])


CHANGES = st.lists(st.tuples(IDS, st.none() | st.lists(NUMBERS, min_size=2, max_size=2)))


@settings(max_examples=30)
@given(st.dictionaries(IDS, st.lists(NUMBERS, min_size=2, max_size=2), min_size=1), CHANGES)
def test_vectors_follow_items_that_come_change_and_go(
    first: dict[str, list[float]], changes: list[tuple[str, list[float] | None]]
) -> None:
    column = VectorColumn.of("text/1", list(first), np.array(list(first.values()), np.float32))
    expected: Vectors = dict(first)
    for item_id, vector in changes:
        expected[item_id] = vector
        if vector is None:
            column.remove([item_id])
        else:
            column.put([item_id], np.array([vector], np.float32))
    ids = [f"i{n}" for n in range(12)]
    vector_UD, mask_U = column.find(keys(*ids))
    assert mask_U.tolist() == [expected.get(item_id) is not None for item_id in ids]
    assert vector_UD.tolist() == [expected.get(item_id) or [0, 0] for item_id in ids]
