"""`headrace evaluate --data`: any folder that `headrace up` takes, from events to figures."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_log import START_MS, columns, write, write_catalogue

from benchmarks.outside import NO_DATA, larger_data
from headrace.cli import main
from headrace.config import Settings
from headrace.datasets.movielens import loader as movielens
from headrace.evaluation import progress
from headrace.evaluation.dataset.asked import Asked
from headrace.evaluation.dataset.run import evaluate as evaluate_dataset

REAL = larger_data("movielens")
NUM_TRAIN, NUM_TEST = 1_500, 600
NUM_REQUESTS = 1_500  # of the shop
EVERY_MS = 60_000  # the log is a day and a half long
TEST_MS = START_MS + EVERY_MS * NUM_TRAIN
INTERVALS = (
    *("auc", "gauc", "normalized_entropy", "calibration", "accuracy", "precision", "recall", "f1"),
    *("recall_at_k", "ndcg_at_k", "mrr"),
)


def iso(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1_000, UTC).isoformat()


def of_period(num: int, start_ms: int, seed: int) -> dict[str, Any]:
    return {**columns(num, start_ms, seed), "time_ms": start_ms + EVERY_MS * np.arange(num)}


@pytest.fixture(scope="module")
def kuairand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same log twice: one file of impressions for --data, and a train and a test."""
    folder = tmp_path_factory.mktemp("kuairand")
    parts = of_period(NUM_TRAIN, START_MS, 1), of_period(NUM_TEST, TEST_MS, 2)
    for name, part in zip(("train", "test"), parts, strict=True):
        write(folder / f"{name}.parquet", part)
    both = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    write(folder / "impressions.parquet", both)
    write_catalogue(folder)
    return folder


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop's own tables, with words for ids and three items in each request; what is called a mug
    is bought."""
    folder = tmp_path_factory.mktemp("shop")
    draw = np.random.default_rng(0)
    things = [f"{kind} {n}" for kind in ("mug", "pen") for n in range(6)]
    rows = []
    for number in range(NUM_REQUESTS):
        for thing in draw.choice(things, 3, replace=False):
            clicked = int(draw.random() < (0.8 if thing.startswith("mug") else 0.2))
            user = f"Zoë {number % 20}"
            rows.append(f"{user},{thing},{1_700_000_000 + 60 * number},r{number},{clicked}")
    (folder / "events.csv").write_text("\n".join(["who,what,when,request,c", *rows]) + "\n")
    (folder / "items.csv").write_text("\n".join(["what,name", *(f"{t},{t}" for t in things)]))
    (folder / "headrace.yaml").write_text(
        "events: {file: events.csv, user_id: who, item_id: what, request_id: request,"
        " time: {column: when, unit: s}, clicked: c}\n"
        "items: {file: items.csv, item_id: what, title: name}\n"
    )
    return folder


def result(folder: Path, out: Path, *flags: str) -> dict[str, Any]:
    assert main(["evaluate", f"--data={folder}", f"--json={out}", *flags]) == 0
    document: dict[str, Any] = json.loads(out.read_text())
    return document


def of_files(folder: Path, out: Path, *flags: str) -> dict[str, Any]:
    files = {"train": "train", "test": "test", "users": "users", "items": "videos"}
    named = [f"--{flag}={folder / name}.parquet" for flag, name in files.items()]
    assert main(["evaluate", *named, f"--json={out}", *flags]) == 0
    document: dict[str, Any] = json.loads(out.read_text())
    return document


@pytest.mark.parametrize("regime", [(), ("--online",), ("--frozen-features",)])
def test_a_folder_gives_the_figures_that_its_files_give(
    kuairand: Path, tmp_path: Path, regime: tuple[str, ...]
) -> None:
    labels = {"click": "is_click", "like": "is_like", "long_view": "long_view"}
    flags = (f"--test-from={iso(TEST_MS)}", f"--labels={','.join(labels)}", *regime)
    by_folder = result(kuairand, tmp_path / "folder.json", *flags)
    by_files = of_files(
        kuairand, tmp_path / "files.json", f"--labels={','.join(labels.values())}", *regime
    )
    for action, column in labels.items():
        assert by_folder["labels"][action] == by_files["labels"][column]
        for of_slice in ("new_users", "new_items"):
            of_folder, of_file = by_folder["slices"][of_slice], by_files["slices"][of_slice]
            assert of_folder[action] == of_file[column]
    assert by_folder["labels"]["click"]["gauc"] is not None
    for name in ("samples", "train_samples", "time_zone", "regime"):
        assert by_folder[name] == by_files[name]


def test_words_are_ids_and_lists_are_the_requests_of_the_log(shop: Path, tmp_path: Path) -> None:
    told = result(shop, tmp_path / "out.json", "--online", "--top=1")
    click = told["labels"]["click"]
    assert (told["samples"], told["train_samples"]) == (3 * 300, 3 * 1_200)
    assert list(told["labels"]) == ["click"]  # the log tells of no other
    assert (told["list"], told["top"]) == ("request", 1)
    assert click["auc"] > 0.7 and click["accuracy"] > 0.65
    assert 0 < click["lists"] <= 300  # of those in which something was clicked
    assert click["mrr"] > 0.75 and click["ndcg_at_k"] > 0.6


def test_a_share_of_the_events_is_the_test(shop: Path, tmp_path: Path) -> None:
    told = result(shop, tmp_path / "out.json", "--test-share=0.5")
    assert told["samples"] == told["train_samples"] == 3 * 750


def test_the_time_zone_moves_the_days(
    kuairand: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flag = f"--test-from={iso(TEST_MS)}"
    own = result(kuairand, tmp_path / "own.json", flag)
    assert list(own["labels"]) == ["click", "like", "long_view"]  # what the test can judge
    monkeypatch.setenv("HEADRACE_TIME_ZONE", "America/New_York")
    by_setting = result(kuairand, tmp_path / "setting.json", flag)
    by_flag = result(kuairand, tmp_path / "flag.json", flag, "--time-zone=Asia/Shanghai")
    assert (own["time_zone"], by_setting["time_zone"]) == ("Asia/Shanghai", "America/New_York")
    assert by_setting["labels"]["click"]["gauc"] != own["labels"]["click"]["gauc"]
    assert by_setting["labels"]["click"]["auc"] == own["labels"]["click"]["auc"]
    assert by_flag["labels"] == own["labels"]


@pytest.mark.parametrize("of", ["shop", "kuairand"])
def test_intervals_contain_their_figures(
    of: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    told = result(request.getfixturevalue(of), tmp_path / "out.json", "--bootstrap=200")
    click = told["labels"]["click"]
    assert set(click["intervals"]) == set(INTERVALS)
    for name, (low, high) in click["intervals"].items():
        assert low <= click[name] <= high, name
    assert click["intervals"]["auc"][0] < click["auc"] < click["intervals"]["auc"][1]
    said = capsys.readouterr().out
    assert said.count("95 % from") == said.count("95 % to") == 2 * len(told["labels"])
    for heading in ("AUC", "GAUC", "NE", "precision", "F1", "Recall@10", "NDCG@10", "MRR"):
        assert heading in said


def test_it_says_how_far_it_is(
    shop: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(progress, "REPORT_EVERY_S", 0.0)
    result(shop, tmp_path / "out.json")
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == "4,500 of 4,500 impressions (test)"
    assert len(lines) > 3 and lines[0].endswith("(train)")


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--data=no-such-folder"], "no-such-folder: does not exist; --data expects a folder"),
        (["--test-from=1999-01-01"], "the log of table goes from 2023-11-14T22:13:20Z to"),
        (["--test-from=2040-01-01"], "--test-from 2040-01-01T00:00:00Z: the log of table goes"),
        (["--test-share=1.5"], "--test-share 1.5: expected more than 0 and less than 1"),
        (["--test-from=2023-11-15", "--test-share=0.5"], "give one"),
        (["--labels=like"], "one class only: no impression from 2023-11-1"),
        (["--labels=is_click"], "--labels: got 'is_click'; expected some of click, like"),
        (["--time-zone=Mars/Olympus"], "HEADRACE_TIME_ZONE='Mars/Olympus': no such time zone"),
        (["--train=log.parquet"], "--train does not go with --data"),
        (["--inputs=inputs.parquet"], "--inputs does not go with --data"),
        (["--platform=mine"], "--platform does not go with a learner of its own"),
        (["--model-version=1", "--online"], "--online does not go with --model-version"),
        (["--model-version=1", "--size=base"], "--size does not go with --model-version"),
        (["--top=0"], "--top 0: expected a number of places"),
        (["--threshold=1"], "--threshold 1: expected more than 0, less than 1"),
        (["--bootstrap=-1"], "--bootstrap -1: expected a number of draws"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    shop: Path, flags: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", f"--data={shop}", *flags]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("headrace evaluate: ") and says in line


def test_without_any_log_it_says_how_to_name_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate"]) == 2
    assert "give --data FOLDER, or all of --train, --test" in capsys.readouterr().err


@pytest.mark.skipif(not REAL, reason=NO_DATA)
def test_movielens_is_predicted() -> None:
    whole = movielens.load(REAL)
    first = list(islice(whole.events(), 20_000))
    end_ms = first[-1].event_time_ms
    dataset = replace(whole, events=lambda: iter(first), num_events=len(first), end_ms=end_ms)
    told = evaluate_dataset(dataset, Settings(), Asked(online=True))
    assert 3_900 < told["samples"] <= 4_000
    assert told["labels"]["click"]["auc"] > 0.72
    assert 0.9 < told["labels"]["click"]["calibration"] < 1.1
