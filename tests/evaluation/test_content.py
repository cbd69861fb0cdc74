"""`headrace evaluate --vectors`: what encoders made of items that nobody has seen."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from small_log import START_MS, columns, write, write_catalogue

from headrace.catalogue.vector_table import SCHEMA, VectorTable
from headrace.cli import main

NUM_TRAIN, NUM_TEST = 3_000, 600
VECTORS = "given_vector/1"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A test of videos 4 and 5, which the train and the catalogue do not have: only their vectors
    say that they are like the even ones and like the odd ones."""
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    train = columns(NUM_TRAIN, START_MS, seed=1)
    test = columns(NUM_TEST, START_MS + 5_000 * NUM_TRAIN, seed=2)
    write(tmp_path / "train.parquet", train)
    write(tmp_path / "test.parquet", {**test, "video_id": 4 + np.asarray(test["video_id"]) % 2})
    write_catalogue(tmp_path)
    vectors = {str(n): [float(n % 2 == 0), float(n % 2 == 1)] for n in range(6)}
    rows = [{"item_id": i, "content_hash": 1, "vector": v} for i, v in vectors.items()]
    table = VectorTable(tmp_path / "vectors", VECTORS)
    table.append(pa.Table.from_pylist(rows, SCHEMA))
    table.finish(dict.fromkeys(vectors, 1))
    return tmp_path


def evaluate(folder: Path, *flags: str) -> int:
    files = {"train": "train", "test": "test", "users": "users", "items": "videos"}
    named = [f"--{flag}={folder / name}.parquet" for flag, name in files.items()]
    return main(["evaluate", *named, "--frozen-features", f"--json={folder / 'out.json'}", *flags])


def test_vectors_tell_of_items_that_nobody_has_seen(folder: Path) -> None:
    auc = []
    for flags in ([], [f"--vectors={VECTORS}"]):
        assert evaluate(folder, *flags) == 0
        auc.append(json.loads((folder / "out.json").read_text())["labels"]["is_click"]["auc"])
    without, with_vectors = auc
    assert with_vectors > 0.85 > 0.6 > without


def test_a_table_that_is_not_there_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(folder, "--vectors=text_e5/9") != 0
    assert "text_e5/9" in capsys.readouterr().err
