"""Docstrings: the established term first, what goes in, what comes out."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("platform", "serving", "trainers", "feature_repo")
DEFINED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def first_sentences() -> Iterator[tuple[str, str]]:
    """Where each docstring is, and its first sentence."""
    for path in sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, DEFINED) and (text := ast.get_docstring(node)):
                place = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"
                yield place, re.split(r"\.\s|\n\n", text)[0]


def test_hardly_any_docstring_defines_a_thing_by_a_clause_with_what() -> None:
    sentences = dict(first_sentences())
    defining = [place for place, text in sentences.items() if re.search(r"\bwhat\b", text, re.I)]
    assert len(sentences) > 2_000
    assert len(defining) <= 0.03 * len(sentences), "\n".join(defining)
