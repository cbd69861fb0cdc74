"""`python -m benchmarks quality`, on a log of its form: FuseRank's numbers, and what peers get."""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from small_log import columns, write, write_catalogue

from benchmarks import quality
from benchmarks.peers import inputs as peers_inputs
from benchmarks.quality_logs import TEST_BEGINS_MS
from benchmarks.quality_rankers import Outcomes, Predictions, run_rankers, write_inputs
from benchmarks.quality_scores import Tables
from headrace.cli import main
from headrace.errors import ConfigError
from headrace.features.inputs import DENSE_NAMES

LABELS = ("is_click", "is_like", "long_view")
NUM_TRAIN, NUM_TEST = 1_200, 300
ONLINE = "FuseRank, online"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """KuaiRand's folder, with few rows."""
    folder = tmp_path_factory.mktemp("kuairand")
    start_ms = TEST_BEGINS_MS - 5_000 * NUM_TRAIN
    write(folder / "impressions.parquet", columns(NUM_TRAIN + NUM_TEST, start_ms, seed=1))
    history: dict[str, Any] = {name: [[0, 1], [2]] for name in ("watch_seq", "like_seq")}
    history |= {"user_id": [0, 1], "history_len": [2, 1], "long_watch_seq": [[1], [2]]}
    write(folder / "history.parquet", history | {"last_time_ms": [start_ms - 1_000] * 2})
    write_catalogue(folder)
    return folder


@pytest.fixture(scope="module")
def told(folder: Path) -> dict[str, Any]:
    out = folder / "quality.json"
    flags = [f"--kuairand={folder}", "--logs=kuairand", "--peers=none", "--seeds=2", "--quick"]
    command = [sys.executable, "-m", "benchmarks", "quality", *flags, f"--json={out}"]
    subprocess.run(command, check=True, capture_output=True, cwd=Path(__file__).parents[2])
    document: dict[str, Any] = json.loads(out.read_text())
    return document


def run(*flags: str) -> dict[str, Any]:
    parser = ArgumentParser()
    parser.add_argument("--json", type=Path)
    quality.add_flags(parser)
    return quality.run(parser.parse_args(flags))


def test_every_regime_is_told_with_its_seeds(told: dict[str, Any]) -> None:
    log = told["kuairand"]
    assert (log["train"], log["test"], log["seeds"]) == (NUM_TRAIN, NUM_TEST, [0, 1])
    live = ["FuseRank, frozen", "FuseRank, every 5 min", ONLINE]
    assert list(log["models"]) == ["FuseRank, all frozen", *live]
    for model in log["models"].values():
        assert list(model["labels"]) == list(LABELS)
        for label in LABELS:
            of_seeds = [of_seed[label]["auc"] for of_seed in model["by_seed"]]
            assert model["labels"][label]["auc"] == pytest.approx(np.mean(of_seeds), abs=1e-5)
            assert model["labels"][label]["auc"] > 0.7


def test_the_numbers_are_those_of_evaluate(folder: Path, told: dict[str, Any]) -> None:
    rows = pq.read_table(folder / "impressions.parquet")
    pq.write_table(rows.slice(0, NUM_TRAIN), folder / "train.parquet")
    pq.write_table(rows.slice(NUM_TRAIN), folder / "test.parquet")
    files = {"train": "train", "test": "test", "users": "users", "items": "videos"}
    flags = [f"--{flag}={folder / name}.parquet" for flag, name in files.items()]
    flags += [f"--history={folder / 'history.parquet'}", f"--labels={','.join(LABELS)}", "--seed=1"]
    regimes = {ONLINE: ["--online"], "FuseRank, frozen": []}
    regimes["FuseRank, all frozen"] = ["--frozen-features"]
    regimes["FuseRank, every 5 min"] = ["--online", "--publish-every=300"]
    for model, regime in regimes.items():
        assert main(["evaluate", *flags, *regime, f"--json={folder / 'out.json'}"]) == 0
        expected = json.loads((folder / "out.json").read_text())["labels"]
        for label, numbers in told["kuairand"]["models"][model]["by_seed"][1].items():
            assert numbers["samples"] == expected[label]["samples"]
            for name in ("auc", "gauc", "normalized_entropy", "calibration"):
                # Its AUC is that of bins, and there are few rows.
                assert numbers[name] == pytest.approx(expected[label][name], abs=5e-3), name


def test_what_was_measured_and_predicted_before_a_failure_is_not_lost(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(name: str, *_: Any) -> None:
        raise ConfigError("no disk")

    out, keep = tmp_path / "quality.json", tmp_path / "kept"
    flags = [f"--kuairand={folder}", "--peers=none", "--seeds=1", "--quick", f"--keep={keep}"]
    monkeypatch.setattr(quality.quality_logs, "movielens", fails)
    with pytest.raises(ConfigError, match="no disk"):
        run(*flags, f"--json={out}")
    assert json.loads(out.read_text())["kuairand"]["test"] == NUM_TEST
    predicted = pq.read_table(keep / "kuairand" / "fuserank-0" / f"{ONLINE}.parquet")
    assert predicted.column_names == [*LABELS, *(f"{label}@midnight" for label in LABELS)]
    assert len(predicted) == NUM_TEST
    with pytest.raises(ConfigError, match="expected a folder in which there is no kuairand"):
        run(*flags)


def log_flags(folder: Path, out: Path) -> list[str]:
    """Those of `headrace evaluate` for a log, which is divided into files of a folder."""
    rows = pq.read_table(folder / "impressions.parquet")
    pq.write_table(rows.slice(0, NUM_TRAIN), out / "train.parquet")
    pq.write_table(rows.slice(NUM_TRAIN), out / "test.parquet")
    flags = [f"--{name}={out / name}.parquet" for name in ("train", "test")]
    flags += [f"--users={folder / 'users.parquet'}", f"--items={folder / 'videos.parquet'}"]
    return [*flags, "--labels=is_click"]


def test_peers_read_what_the_ranker_saw(folder: Path, tmp_path: Path) -> None:
    rows, file = pq.read_table(folder / "impressions.parquet"), tmp_path / "inputs.parquet"
    write_inputs(log_flags(folder, tmp_path), file)
    read = peers_inputs.read(file)
    assert (read.num_train, read.num_test) == (NUM_TRAIN, NUM_TEST)
    assert read.num_rows == NUM_TRAIN + 2 * NUM_TEST
    assert list(read.label_N) == ["is_click"]
    video_N = rows["video_id"].to_numpy()
    code_of = dict(zip(video_N.tolist(), read.code_N["item"].tolist(), strict=False))
    assert len(set(code_of.values())) == 4
    assert all(read.code_N["item"][: len(rows)] == [code_of[video] for video in video_N])
    first_of_day, last = read.num_train + read.num_test, read.num_rows - 1
    test_first, test_last = read.num_train, first_of_day - 1
    assert (read.history_NT[first_of_day] == read.history_NT[test_first]).all()
    assert (read.history_NT[last] != read.history_NT[test_last]).any()
    assert read.history_NT[read.action_NT == 0].max() == peers_inputs.NOTHING
    # Rows are five seconds apart, and an outcome is a minute old when it is visible.
    now_ms = int(read.time_ms_N[100])
    assert peers_inputs.num_visible(read, now_ms) == 100 - 12 + 1


def test_peers_have_the_numbers_that_the_ranker_has(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "inputs.parquet"
    run_rankers(log_flags(folder, tmp_path), [0], file)
    read = peers_inputs.read(file)
    assert read.dense_names == [*DENSE_NAMES, "expected", "predicted"]
    affinity_N2 = read.dense_NF[:, -2:]
    assert np.isfinite(affinity_N2).all() and (affinity_N2[NUM_TRAIN:].std(0) > 0.1).all()
    now_Q2, late_Q2 = np.split(affinity_N2[NUM_TRAIN:], 2)
    assert (now_Q2 != late_Q2).any(0).all()  # as of midnight: items' factors, and users


def test_plain_inputs_are_counts_and_rates_that_began_with_the_log(
    folder: Path, tmp_path: Path
) -> None:
    flags = log_flags(folder, tmp_path)
    seen = {}
    for name, before in (("plain", []), ("rich", [f"--history={folder / 'history.parquet'}"])):
        write_inputs([*flags, *before], tmp_path / name)
        seen[name] = peers_inputs.plain(peers_inputs.read(tmp_path / name))
    plain, rich = seen["plain"], seen["rich"]
    of = plain.dense_names.index("user_impressions_log")
    knows_more_N = rich.dense_NF[:, of] > plain.dense_NF[:, of]
    user_N = pq.read_table(tmp_path / "rich")["user_id"].to_numpy()
    assert set(user_N[knows_more_N[: len(user_N)]]) == {0, 1}  # who have a past
    assert list(plain.code_N) == list(rich.code_N)
    assert plain.dense_NF.shape == (plain.num_rows, len(plain.dense_names))
    assert set(DENSE_NAMES) - set(plain.dense_names) == {
        *(f"user_click_rate_last{num}" for num in (3, 10, 20)),
        *("user_like_rate_last20", "user_long_view_rate_last10"),
        *("user_idle_log", "user_since_click_log", "item_idle_log"),
        *("user_session_length_log", "user_session_click_rate"),
        *(f"user_surface_{action}_rate" for action in ("click", "like", "long_view")),
        *("category_rate_mean", "category_rate_max"),
    }


def test_ids_that_the_train_has_once_or_never_share_a_code(tmp_path: Path) -> None:
    def part(name: str, video: list[int]) -> Path:
        keys = {"time_ms": np.arange(len(video)), "video_id": video, "is_click": [1] * len(video)}
        dense = {"dense.rate": np.zeros(len(video), np.float32)}
        lists = {name: [[7]] * len(video) for name in ("history.item", "history.action")}
        return write(tmp_path / name, {**keys, **dense, "key.item": video, **lists})

    part("inputs-midnight", [9, 7])
    read = peers_inputs.read(part("inputs", [7, 7, 8, 0, 9, 7]))
    assert read.num_train == 4
    seen, rare, none = peers_inputs.FIRST, peers_inputs.RARE, peers_inputs.NOTHING
    assert read.code_N["item"].tolist() == [seen, seen, rare, none, rare, seen, rare, seen]
    assert read.num_codes["item"] == 3


def test_a_gain_is_sure_only_where_the_interval_leaves_zero_out() -> None:
    draw = np.random.default_rng(0)
    label_QJ = draw.integers(0, 2, (2_000, 1))
    user_Q, day_Q = draw.integers(0, 200, 2_000), np.zeros(2_000, np.int64)
    new = {"new_users": user_Q < 100, "new_items": np.zeros(2_000, bool)}

    def says(worth: float) -> list[Predictions]:
        p_QJ = 1 / (1 + np.exp(-worth * label_QJ - draw.normal(size=(2_000, 1))))
        return [Predictions(p_QJ, p_QJ)]

    models = {"FuseRank, online": says(2.0), "FuseRank, frozen": says(1.0)}
    models["DIN, progressive"] = models[ONLINE]
    report = Tables(["is_click"], Outcomes(user_Q, day_Q, label_QJ, new), models, 50).report()
    gains = {(g["than"], g["rows"], g["metric"]): g for g in report["gains"]}
    better = gains["FuseRank, frozen", "all", "auc"]
    assert better["is_sure"] and 0.05 < better["low"] < better["value"] < better["high"]
    assert not gains["DIN, progressive", "all", "auc"]["is_sure"]
    assert gains["FuseRank, frozen", "new_items", "auc"]["value"] is None


@pytest.mark.parametrize(
    ("flag", "says"), [("--peers=dnn", "dnn"), ("--logs=criteo", "criteo"), ("--seeds=0", "0")]
)
def test_bad_flags_are_named(flag: str, says: str) -> None:
    with pytest.raises(ConfigError, match=f"{says}: expected"):
        run(flag)


def test_a_log_that_is_not_there_is_left_out_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run(f"--kuairand={tmp_path}", "--logs=kuairand", "--peers=none")
    assert str(tmp_path) in result["kuairand"]["left_out"]
    assert "kuairand is left out" in capsys.readouterr().err
