"""`headrace evaluate`, from files to numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from small_log import START_MS, columns, write, write_catalogue

from headrace.cli import main
from headrace.evaluation.files.inputs_file import AFFINITIES
from headrace.features.inputs import DENSE_NAMES
from headrace.keys import key

NUM_TRAIN, NUM_TEST = 1_500, 400
TEST_MS = START_MS + 5_000 * NUM_TRAIN


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "train.parquet", columns(NUM_TRAIN, START_MS, seed=1))
    write(tmp_path / "test.parquet", columns(NUM_TEST, TEST_MS, seed=2))
    write_catalogue(tmp_path)
    return tmp_path


def evaluate(folder: Path, *flags: str) -> int:
    files = {"train": "train", "test": "test", "users": "users", "items": "videos"}
    named = [f"--{flag}={folder / name}.parquet" for flag, name in files.items()]
    return main(["evaluate", *named, *flags])


def result(folder: Path, *flags: str) -> dict[str, Any]:
    assert evaluate(folder, f"--json={folder / 'out.json'}", *flags) == 0
    document: dict[str, Any] = json.loads((folder / "out.json").read_text())
    return document


def test_what_is_learned_is_told_per_label_and_slice(folder: Path) -> None:
    told = result(folder, "--labels=is_click,is_like,long_view", "--online")
    assert list(told["labels"]) == ["is_click", "is_like", "long_view"]
    for of_label in told["labels"].values():
        assert of_label["samples"] == NUM_TEST
        assert of_label["auc"] > 0.7
        assert of_label["gauc"] > 0.65
        assert of_label["normalized_entropy"] < 0.95
        assert 0.6 < of_label["calibration"] < 1.6
    assert set(told["slices"]) == {"new_users", "new_items"}
    assert told["slices"]["new_items"]["is_click"] == {
        "samples": 0, "auc": None, "normalized_entropy": None, "calibration": None
    }  # fmt: skip
    assert told["samples"] == NUM_TEST
    assert told["samples_per_s"] > 0
    assert told["peak_rss_mb"] > 0


def test_a_train_that_does_not_fill_a_batch_is_learned_before_the_test(folder: Path) -> None:
    """No feature knows who followed, so only the labels of the train can tell."""
    write(folder / "test.parquet", followed(NUM_TEST, TEST_MS, np.arange(NUM_TEST) % 2))
    calibration = []
    for label in (0, 1):
        write(folder / "train.parquet", followed(200, START_MS, np.full(200, label)))
        told = result(folder, "--labels=is_follow")["labels"]["is_follow"]
        calibration.append(told["calibration"])
    assert calibration[1] > 1.02 * calibration[0]


def followed(num: int, start_ms: int, label_N: NDArray[Any]) -> dict[str, Any]:
    return {**columns(num, start_ms, seed=3), "is_follow": label_N}


def test_the_same_seed_gives_the_same_numbers(folder: Path) -> None:
    first, second, other = (result(folder, f"--seed={seed}")["labels"] for seed in (3, 3, 4))
    assert first == second != other


def test_regimes_differ_in_what_goes_on_through_the_test(folder: Path) -> None:
    inverted = columns(NUM_TEST, TEST_MS, seed=2)
    inverted["is_click"] = 1 - inverted["is_click"]  # the test turns everything round
    write(folder / "test.parquet", inverted)
    auc = {
        flags: result(folder, *flags)["labels"]["is_click"]["auc"]
        for flags in ((), ("--online",), ("--frozen-features",))
    }
    assert auc[("--frozen-features",)] < 0.2
    assert auc[("--online",)] != auc[()]


def test_other_models_get_the_same_inputs(folder: Path) -> None:
    result(folder, f"--inputs={folder / 'inputs.parquet'}")
    table = pq.read_table(folder / "inputs.parquet")
    assert table["split"].to_pylist() == ["train"] * NUM_TRAIN + ["test"] * NUM_TEST
    train = pq.read_table(folder / "train.parquet")
    assert table["video_id"].to_pylist()[:NUM_TRAIN] == train["video_id"].to_pylist()
    assert table["is_click"].to_pylist()[:NUM_TRAIN] == train["is_click"].to_pylist()
    assert [n for n in table.column_names if n.startswith("dense.")] == [
        f"dense.{name}" for name in DENSE_NAMES
    ]
    assert table["key.item"][0].as_py() == key(str(train["video_id"][0]))
    lengths = [len(history) for history in table["history.item"].to_pylist()]
    assert lengths[0] == 0
    assert max(lengths) == 20


@pytest.mark.parametrize(("split", "row"), [("train", 1_240), ("test", 20)])
def test_an_affinity_knows_outcomes_once_they_are_a_minute_old(
    folder: Path, split: str, row: int
) -> None:
    """Rows are five seconds apart, so twelve others see none of a row's outcome, nor does it."""

    def affinities() -> NDArray[np.float64]:
        result(folder, "--online", f"--inputs={folder / 'inputs.parquet'}")
        return pq.read_table(folder / "inputs.parquet").select(AFFINITIES).to_pandas().to_numpy()

    before_N2 = affinities()
    log = pq.read_table(folder / f"{split}.parquet").to_pydict()
    log["is_click"][row] = 1 - log["is_click"][row]
    log["play_time_ms"][row] = 5_000 - log["play_time_ms"][row]
    write(folder / f"{split}.parquet", log)
    row += NUM_TRAIN if split == "test" else 0
    after_N2 = affinities()
    assert np.isfinite(before_N2).all() and (before_N2[1_200:].std(0) > 0.1).all()
    assert (before_N2[: row + 12] == after_N2[: row + 12]).all()
    assert (before_N2[row + 12 :] != after_N2[row + 12 :]).any(0).all()


def without(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda of: {column: values for column, values in of.items() if column != name}


def with_value(name: str, row: int, value: object) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def change(of: dict[str, Any]) -> dict[str, Any]:
        values = of[name].astype(float) if isinstance(value, float) else of[name].copy()
        values[row] = value
        return {**of, name: values}

    return change


def rows(index: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda of: {column: values[index] for column, values in of.items()}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (without("is_click"), "is_click"),
        (with_value("is_click", 3, 2), "is_click"),
        (with_value("duration_ms", 3, np.nan), "duration_ms: NaN or no value in row 4"),
        (rows(np.r_[1, 0, 2:NUM_TEST]), "time_ms goes back in row 2"),
        (rows(np.r_[0, 0, 1:NUM_TEST]), "of row 2 are those of a row before it"),
        (rows(slice(0, 0)), "no rows"),
        (with_value("time_ms", 0, START_MS), "must come after all train rows"),
    ],
)
def test_a_bad_file_is_refused_before_anything_is_learned(
    change: Callable[[dict[str, Any]], dict[str, Any]],
    says: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write(folder / "test.parquet", change(columns(NUM_TEST, TEST_MS, seed=2)))
    assert evaluate(folder, f"--json={folder / 'out.json'}") == 2
    said = capsys.readouterr().err
    assert "test.parquet" in said
    assert says in said
    assert not (folder / "out.json").exists()


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--labels=is_clicked",), "is_clicked"),
        (("--labels=is_click,is_click",), "twice"),
        (("--size=huge",), "huge"),
        (("--online", "--frozen-features"), "one of them"),
        (("--json=/no/such/folder/out.json",), "there is no folder"),
    ],
)
def test_bad_flags_are_named(
    flags: tuple[str, ...], says: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(folder, *flags) == 2
    assert says in capsys.readouterr().err


def test_predictions_come_from_the_last_version_that_was_published(folder: Path) -> None:
    """Every 3 s is for each batch; every 30 years is once, at the beginning of the test."""
    told = {
        name: result(folder, *flags)["labels"]["is_click"]
        for name, flags in {
            "online": ["--online"],
            "every batch": ["--online", "--publish-every=3"],
            "once": ["--online", "--publish-every=1e9"],
            "frozen": [],
        }.items()
    }
    assert told["every batch"] == told["online"] != told["once"] == told["frozen"]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--publish-every=60"], "give --online"),
        (["--online", "--publish-every=-1"], "expected seconds"),
        (["--online", "--publish-every=nan"], "expected seconds"),
    ],
)
def test_when_versions_are_published_is_checked(
    folder: Path, flags: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(folder, *flags) != 0
    assert says in capsys.readouterr().err
