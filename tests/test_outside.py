"""Larger data and Apache Kafka come by variables, not by a folder that lies beside the checkout."""

from __future__ import annotations

import ast
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
