"""Larger data and Apache Kafka come by variables, not by a folder that lies beside the checkout."""

from __future__ import annotations

import ast
import os
import subprocess
from pathlib import Path

import pytest

from benchmarks.outside import kafka_environ, larger_data

ROOT = Path(__file__).resolve().parents[1]


def test_no_script_names_a_folder_beside_the_checkout() -> None:
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True)
    names = [name for name in listed.stdout.split() if Path(name).name != Path(__file__).name]
    outside = {
        f"{name}:{node.lineno}: {ast.unparse(node)}"
        for name in names
        for node in ast.walk(ast.parse((ROOT / name).read_text()))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)
        if isinstance(node.right, ast.Constant) and node.right.value in ("shared", "..")
    }
    assert names and not outside, "\n".join(sorted(outside))


def test_what_is_outside_is_found_by_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEADRACE_TEST_DATA", raising=False)
    monkeypatch.delenv("KAFKA_HOME", raising=False)
    assert larger_data("kuairand") is None and kafka_environ() == {}
    (tmp_path / "kuairand").mkdir()
    monkeypatch.setenv("HEADRACE_TEST_DATA", str(tmp_path))
    monkeypatch.setenv("KAFKA_HOME", str(tmp_path))
    assert larger_data("kuairand") == tmp_path / "kuairand" and larger_data("fashion") is None
    assert kafka_environ() == {"KAFKA_HOME": str(tmp_path)}


def run_ci(folder: Path, given: dict[str, str]) -> str:
    """What `.ci/run` says where `make` does nothing, there is a Java, and `folder` is the home."""
    for name in ("make", "java"):
        program = folder / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    environ = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "HOME": str(folder), **given}
    done = subprocess.run([ROOT / ".ci" / "run"], env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_check_of_a_change_finds_what_is_outside_at_its_standard_places(tmp_path: Path) -> None:
    assert "HEADRACE_TEST_DATA=\n" in run_ci(tmp_path, {})
    data = tmp_path / ".local" / "share" / "headrace"
    for name in ("test-data", "kafka/libs"):
        (data / name).mkdir(parents=True)
    found = f"== KAFKA_HOME={data / 'kafka'} HEADRACE_TEST_DATA={data / 'test-data'}\n"
    assert found in run_ci(tmp_path, {})
    named = {"KAFKA_HOME": "/some/kafka", "HEADRACE_TEST_DATA": "/some/data"}
    assert "== KAFKA_HOME=/some/kafka HEADRACE_TEST_DATA=/some/data\n" in run_ci(tmp_path, named)
    elsewhere = {"XDG_DATA_HOME": str(tmp_path / "elsewhere")}
    assert "HEADRACE_TEST_DATA=\n" in run_ci(tmp_path, elsewhere)
