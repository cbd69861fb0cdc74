"""`headrace compare-fusion`: every fusion on the same rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_log import START_MS, columns, write, write_catalogue

from headrace.cli import main
from headrace.model.layers.fusion import FUSIONS


def compare(folder: Path, *flags: str) -> int:
    write(folder / "train.parquet", columns(600, START_MS, seed=1))
    write(folder / "test.parquet", columns(300, START_MS + 5_000 * 600, seed=2))
    write_catalogue(folder)
    files = {"train": "train", "test": "test", "users": "users", "items": "videos"}
    named = [f"--{flag}={folder / name}.parquet" for flag, name in files.items()]
    return main(["compare-fusion", *named, f"--json={folder / 'out.json'}", *flags])


def test_each_fusion_is_told_with_what_it_costs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare(tmp_path, "--labels=is_click,is_like") == 0
    told = json.loads((tmp_path / "out.json").read_text())
    assert set(told) == set(FUSIONS)
    for of_fusion in told.values():
        assert of_fusion["is_click"]["auc"] > 0.75
        assert of_fusion["is_like"]["samples"] == 300
        assert of_fusion["us_per_row"] > 0
    assert told["cross_attention"]["parameters"] > told["mean"]["parameters"]
    lines = capsys.readouterr().out.splitlines()
    best = max(told, key=lambda name: told[name]["is_click"]["auc"])
    assert lines[1].split()[:2] == [best, "is_click"]
    assert len(lines) == 1 + 2 * len(FUSIONS)


def test_only_those_that_are_named(tmp_path: Path) -> None:
    assert compare(tmp_path, "--fusions=mean,gated") == 0
    assert list(json.loads((tmp_path / "out.json").read_text())) == ["mean", "gated"]


def test_an_unknown_fusion_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(tmp_path, "--fusions=mean,blend") == 2
    assert "--fusions blend: expected some of" in capsys.readouterr().err
