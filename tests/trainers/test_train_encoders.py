"""`headrace train-encoders` as a user runs it; and values with labels, of a catalogue or a file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from headrace import cli, config
from headrace.catalogue.files import write_catalogue
from headrace.catalogue.item import Content, Dataset, Item
from headrace.encoders import registry
from headrace.encoders.encoder import Setup
from headrace.encoders.trained import saved
from headrace.encoders.trained.recipes import RECIPES
from headrace.errors import DatasetError
from trainers.examples import of_catalogue, of_file, read_examples

LSTM = RECIPES["text_lstm"]
TITLES = ("red shoe", "blue shirt", "白色 衬衫", "跑步鞋")


def items_file(path: Path) -> Path:
    rows = {
        "item_id": [f"i{n}" for n in range(42)],
        "text": [f"{TITLES[n % 4]} no. {n}" for n in range(40)] + ["...", None],
        "label": [("shoe", "shirt", "shirt", "shoe")[n % 4] for n in range(42)],
    }
    pq.write_table(pa.table(rows), path)
    return path


def run(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "headrace.cli", "train-encoders", "--encoder", "text_lstm", *words],
        env={**os.environ, "HEADRACE_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=400,
    )


def test_the_names_of_recipes_are_known_without_torch() -> None:
    assert set(registry.TRAINED) == set(RECIPES)


def test_weights_come_back_as_the_same_version_and_damaged_ones_are_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="has no weights"):
        registry.load("text_lstm", Setup(trained_folder=str(tmp_path)))
    torch.manual_seed(0)
    network = LSTM.network()
    saved.save(LSTM, network, tmp_path)
    encoder = registry.load("text_lstm", Setup(trained_folder=str(tmp_path)))
    assert encoder.version == saved.TrainedEncoder(LSTM, network).version
    assert encoder.encode(["red shoe", None]).mask_N.tolist() == [True, False]
    (tmp_path / "text_lstm.pt").write_bytes(b"damaged")
    with pytest.raises(DatasetError, match="no weights of text_lstm"):
        registry.load("text_lstm", Setup(trained_folder=str(tmp_path)))


def test_items_of_the_catalogue_are_labelled_by_their_first_category(tmp_path: Path) -> None:
    settings = config.settings(home=str(tmp_path))
    items = (Item("a", "red shoe", ("shoe", "red")), Item("b", "shirt", ("shirt",)), Item("c", "x"))
    contents = [Content(item.item_id) for item in items]
    dataset = Dataset("d", items, (), lambda: iter(()), 0, 0, 0, contents=lambda: iter(contents))
    write_catalogue(dataset, config.catalogue_path(settings), 0)
    rows = of_catalogue(settings, "text")
    assert [(one, label) for one, _, label in rows] == [("a", "shoe"), ("b", "shirt")]
    examples = read_examples(LSTM, rows)
    assert examples.labels == ("shirt", "shoe") and examples.label_N.tolist() == [1, 0]


def test_what_cannot_be_read_is_named_and_left_out(tmp_path: Path) -> None:
    examples = read_examples(LSTM, of_file(items_file(tmp_path / "items.parquet"), "text"))
    assert len(examples.label_N) == 40 and list(examples.problems) == ["i40"]
    with pytest.raises(DatasetError, match="columns of audio: none"):
        of_file(tmp_path / "items.parquet", "audio")
    with pytest.raises(DatasetError, match="1 labels of 1 values"):
        read_examples(LSTM, [("a", "red", "shoe")])


def test_what_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, reason in (
        (("--encoder", "text_e5"), "no encoder 'text_e5' to train"),
        (("--encoder", "text_lstm", "--epochs", "0"), "--epochs 0"),
        (("--encoder", "text_lstm", "--workers", "0"), "--workers 0"),
    ):
        assert cli.main(["train-encoders", *words]) == 2
        assert reason in capsys.readouterr().err


@pytest.mark.ray
def test_a_run_of_two_workers_leaves_weights_that_encode(tmp_path: Path) -> None:
    path = items_file(tmp_path / "items.parquet")
    words = ("--files", str(path), "--epochs", "5")
    done = run(tmp_path / "home", *words, "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert "40 values, 2 labels, 1 unreadable" in done.stderr and "'i40': text:" in done.stderr
    setup = Setup(trained_folder=str(tmp_path / "home" / "encoders"))
    encoder = registry.load("text_lstm", setup)
    assert f"text_lstm/{encoder.version} is trained" in done.stdout
    shoe, shirt, other_shoe = encoder.encode(["red shoe", "blue shirt", "跑步鞋"]).vector_ND
    assert np.dot(shoe, other_shoe) > np.dot(shoe, shirt)
