"""`headrace evaluate --audio`: accuracy over folds, and of files that are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from content_made import samples, sound

from headrace import cli


def clips_file(folder: Path, **changed: list[Any]) -> Path:
    """Sixteen clips of two kinds in two folds."""
    rows: dict[str, list[Any]] = {
        "file": [f"{n}.wav" for n in range(16)],
        "label": ["tone" if n % 2 else "noise" for n in range(16)],
        "fold": [1 + n // 8 for n in range(16)],
        "audio_wav": [sound(samples(1 - n % 2, seed=n // 2)) for n in range(16)],
    }
    path = folder / "clips.parquet"
    table = {name: values for name, values in (rows | changed).items() if values}
    pq.write_table(pa.table(table), path)
    return path


def test_each_fold_is_judged_by_encoders_that_never_heard_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = clips_file(tmp_path), tmp_path / "audio.json"
    broken = pq.read_table(path).to_pydict()["audio_wav"]
    broken[3] = b"broken"
    clips_file(tmp_path, audio_wav=broken)
    words = ["evaluate", "--audio", str(path), "--epochs", "6", "--json", str(out)]
    assert cli.main(words) == 0
    told, result = capsys.readouterr(), json.loads(out.read_text())
    assert "clip '3.wav': not a sound" in told.err and list(result["unreadable"]) == ["3.wav"]
    assert result["accuracy"] >= 0.9 and result["clips"] == 15
    assert [(row["fold"], row["clips"]) for row in result["folds"]] == [(1, 7), (2, 8)]
    assert set(result["encoders"]) == {"audio_cnn", "audio_dnn"}
    assert all(0 <= row["accuracy"] <= 1 for row in result["folds"])
    assert "15 clips, 6 epochs" in told.out


@pytest.mark.parametrize(
    ("changed", "flags", "reason"),
    [
        ({"fold": [1] * 16}, (), "1 folds and 2 labels of 16 clips"),
        ({"label": ["tone"] * 16}, (), "2 folds and 1 labels of 16 clips"),
        ({"fold": []}, (), "fold"),
        ({"audio_wav": []}, (), "columns of sounds: none"),
        ({}, ("--online",), "--online does not go with --audio"),
        ({}, ("--data", "shop"), "--data does not go with --audio"),
        ({}, ("--epochs", "0"), "--epochs 0"),
    ],
)
def test_what_is_refused(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changed: dict[str, list[Any]],
    flags: tuple[str, ...],
    reason: str,
) -> None:
    path = clips_file(tmp_path, **changed)
    assert cli.main(["evaluate", "--audio", str(path), *flags]) == 2
    assert reason in capsys.readouterr().err
