"""Schemas: which change of the feature table makes begin anew what, and what goes on.

Each change is made to a copy of the project; what this build wrote is then read by that one.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from written_by_a_build import write

from headrace.features.schema import INPUT_SCHEMA, STATE_SCHEMA, VIEW_SCHEMA

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CORE = ROOT / "platform" / "headrace"
TABLE, FACTS = "feature_repo/features.yaml", "features/aggregation/facts.py"
ACTION: Final = "application/action.py"
DECLARED: Final = "action.py"

ASK: Final = (
    "import json; from headrace.features.schema import *;"
    "print(json.dumps([STATE_SCHEMA, INPUT_SCHEMA, VIEW_SCHEMA]))"
)
NOW: Final = {"state": STATE_SCHEMA, "input": INPUT_SCHEMA, "view": VIEW_SCHEMA}

Edit = tuple[str, Callable[[str], str]]  # a file, and what becomes of its text


def edited(old: str, new: str, file: str = TABLE) -> Edit:
    """A part of a file, which occurs once, replaced."""

    def change(text: str) -> str:
        assert text.count(old) == 1, old
        return text.replace(old, new)

    return file, change


def first(name: str) -> Edit:
    """The row of this name before all others."""

    def change(text: str) -> str:
        start = text.index(f"  {name}:\n")
        end = re.compile(r"^  [a-z\"#]", re.M).search(text, start + 3)
        assert end
        row, begin = text[start : end.start()], "\nfeatures:\n"
        return f"{text[:start]}{text[end.start() :]}".replace(begin, f"{begin}{row}")

    return TABLE, change


def added(row: str) -> Edit:
    """One row more."""
    return edited("\nfeatures:\n", f"\nfeatures:\n  {row}\n")


LIKES: Final = (
    "{0}_likes_log: {{entity: {0}, aggregator: log_sum, measure: like, over: life, description: l}}"
)
CHANGES: Final[dict[str, tuple[Edit, str]]] = {  # and the schemas that are then others
    "a description": (edited("items ever shown)", "items)"), ""),
    "the description of a cross": (edited("the greatest of the same", "the greatest"), ""),
    "a comment": (edited("# half the bytes:", "# 104 bytes:"), ""),
    "the order of kinds of entities": (first("item_impressions_log"), ""),
    "the order of accumulators": (first("user_history"), ""),
    "the order of numbers that nobody ranks by": (first("item_value_max"), "view"),
    "the order of columns": (first("user_idle_log"), "input view"),
    "a name": (edited("user_idle_log", "user_quiet_log"), "input view"),
    "a window": (edited("num_tiles: 24}", "num_tiles: 25}"), "state input view"),
    "a half-life": (edited("half_life: 1d", "half_life: 1h"), "state input view"),
    "the length of histories": (edited("length: 64", "length: 128"), "state input view"),
    "a window that nobody ranks by": (
        edited('week, description: "the same', 'day, description: "the same'), "state view"
    ),
    "a window within what is kept": (edited("num: 3}", "num: 4}"), "input view"),
    "a prior": (edited("over: last10, prior: 0.5", "over: last10, prior: 0.4"), "input view"),
    "a prior that nobody ranks by": (edited("day, prior: 0.02", "day, prior: 0.03"), "view"),
    "a cross": (edited("aggregator: greatest, over", "aggregator: mean, over"), "input"),
    "priors of crosses": (edited('on_surface, prior: "{prior}"', "on_surface, prior: 1"), "input"),
    "what a cross reads": (edited("strength: 4.0", "strength: 5.0"), "input"),
    "the code of outcomes": (edited("WHOLE: Final = 255", "WHOLE: Final = 127", FACTS), "input"),
    "an aversion": (edited('strength=2, prior=0.3', 'wish=False, prior=0.3', ACTION), "input"),
    "actions without features": (
        edited("= APPLICATION.actions", "= APPLICATION.actions[:5]", DECLARED),
        "input",
    ),
    "a feature of what is kept": (
        added(LIKES.format("user")), "input view"
    ),
    "a feature that nobody ranks by": (
        added(LIKES.format("category")),
        "view",
    ),
}  # fmt: skip


class Copy:
    """A copy of the core, in which one change at a time is made."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._platform, self._num_changes = folder, folder / "platform", 0
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(CORE, self._platform / "headrace", ignore=ignore)
        shutil.copytree(ROOT / "feature_repo", folder / "feature_repo", ignore=ignore)

    def run(self, changed: str, *command: str) -> str:
        """What a command says in the copy with this change."""
        (file, change), _ = CHANGES[changed]
        path = self._folder / file if file == TABLE else self._platform / "headrace" / file
        before = path.read_text()
        self._write(path, change(before))
        environ = {**os.environ, "PYTHONPATH": str(self._platform)}
        done = subprocess.run(
            [sys.executable, *command], env=environ, capture_output=True, text=True
        )
        self._write(path, before)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _write(self, path: Path, text: str) -> None:
        """Each time as of another second, which is what tells Python's byte-code apart."""
        path.write_text(text)
        self._num_changes += 1
        os.utime(path, (self._num_changes, self._num_changes))


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    return Copy(tmp_path_factory.mktemp("copy"))


@pytest.mark.parametrize("changed", CHANGES)
def test_a_schema_changes_with_what_its_readers_must_agree_on_and_with_nothing_else(
    copy: Copy, changed: str
) -> None:
    then = dict(zip(NOW, json.loads(copy.run(changed, "-c", ASK)), strict=True))
    assert [name for name in NOW if then[name] != NOW[name]] == CHANGES[changed][1].split()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("written")
    write(folder)
    return folder


MODEL = ["samples", "served features", "versions"]
NUMBERS = ["numbers of campaign", "numbers of category", "numbers of item", "numbers of user"]


@pytest.mark.parametrize(
    ("changed", "states", "others"),
    [
        ("a description", [], []),
        ("the order of accumulators", [], []),
        ("a cross", [], MODEL),
        ("a feature that nobody ranks by", [], NUMBERS),
        ("a window that nobody ranks by", ["category_click_rate_7d"], NUMBERS),
        ("a half-life", ["item_click_rate_lately", "item_clicks_lately_log"], [*NUMBERS, *MODEL]),
    ],
)
def test_what_another_build_wrote_begins_anew_where_it_must_and_nowhere_else(
    copy: Copy, written: Path, changed: str, states: list[str], others: list[str]
) -> None:
    said = copy.run(changed, str(HERE / "written_by_a_build.py"), str(written))
    assert json.loads(said) == {"states": states, "others": others}
