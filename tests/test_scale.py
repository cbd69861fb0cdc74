"""docs/scale.md: every result follows from the inputs of the page by the formula beside it."""

from __future__ import annotations

import ast
import math
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[1] / "docs" / "scale.md"
TEXT = PAGE.read_text()
ROW = re.compile(r"^\| `(\w+)` \| (?:`([^`]+)` \| )?([\d,.]+) ?", re.MULTILINE)
FUNCTIONS = {"ceil": math.ceil, "max": max, "min": min}
ROWS = ROW.findall(TEXT)


def results() -> dict[str, float]:
    """Inputs as they stand, and results as the formulas give them, in the order of the page."""
    values: dict[str, float] = {}
    for name, formula, number in ROWS:
        known = {**FUNCTIONS, **values}
        values[name] = eval(formula, {"__builtins__": {}}, known) if formula else as_number(number)
    return values


def as_number(text: str) -> float:
    return float(text.replace(",", ""))


def as_text(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def test_each_result_is_what_its_formula_gives() -> None:
    wrong = {
        name: as_text(results()[name])
        for name, formula, number in ROWS
        if formula and as_number(number) != pytest.approx(results()[name], rel=0.01)
    }
    assert not wrong, f"put these into the page: {wrong}"


def test_each_input_is_used_and_named_once() -> None:
    names = [name for name, _, _ in ROWS]
    used = {
        node.id
        for _, formula, _ in ROWS
        if formula
        for node in ast.walk(ast.parse(formula))
        if isinstance(node, ast.Name)
    }
    inputs = {name for name, formula, _ in ROWS if not formula}
    assert len(names) == len(set(names)) and inputs <= used


def test_the_load_is_the_one_that_the_design_is_for() -> None:
    load = ("users", "items", "events_per_s", "requests_per_s")
    assert [results()[name] for name in load] == [100e6, 10e6, 1e6, 50e3]
