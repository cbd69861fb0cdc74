"""The map: README has each folder with a phrase, a package's `__init__` each of its files."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORE = "platform/headrace/"
ROOMS = (CORE, "serving/", "trainers/")
PACKAGES = (*ROOMS, "benchmarks/")
MAX_MODULES = 12  # in a folder of these, its `__init__` aside
MAX_README_LINES = 250


def tracked() -> list[str]:
    """The files that git tracks; skips where there is no git checkout."""
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [name for name in done.stdout.splitlines() if (ROOT / name).is_file()]


def mapped() -> dict[str, str]:
    """The paths in README's map and their phrases; a folder ends in a slash."""
    text = (ROOT / "README.md").read_text()
    block = re.search(r"^## The tree$.*?^```text\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert block, "README has no map"
    phrases: dict[str, str] = {}
    folders: list[str] = []
    for line in block[1].splitlines():
        name, _, phrase = line.strip().partition(" ")
        depth = (len(line) - len(line.lstrip())) // 2
        path = "".join(folders[:depth]) + name
        assert path not in phrases, f"the map names {path} twice"
        phrases[path] = phrase.strip()
        if name.endswith("/"):
            folders[depth:] = [name]
    return phrases


def packages() -> list[str]:
    names = [name for name in tracked() if name.startswith(PACKAGES) and name.endswith(".py")]
    return sorted({f"{Path(name).parent}/" for name in names})


def listed(package: str) -> list[str]:
    """The files in the list of a package's docstring."""
    text = (ROOT / package / "__init__.py").read_text()
    return re.findall(r"^ *(\w+\.\w+)  +\S", text.partition('"""')[2].partition('"""')[0], re.M)


def test_the_map_has_each_folder_with_a_phrase_and_nothing_that_is_not_there() -> None:
    phrases = mapped()
    assert not [path for path in phrases if not (ROOT / path).exists()]
    assert not [path for path, phrase in phrases.items() if not phrase]
    top = {f"{name.split('/')[0]}/" for name in tracked() if "/" in name and name[0] != "."}
    covered = {*phrases, *(f"{path.split('/')[0]}/" for path in phrases)}
    assert not {*top, *packages()} - covered


@pytest.mark.parametrize("package", packages())
def test_a_package_lists_its_files(package: str) -> None:
    modules = {path.name for path in (ROOT / package).glob("*.py")} - {"__init__.py"}
    names = listed(package)
    assert len(names) == len(set(names))
    assert len(modules) <= MAX_MODULES or not package.startswith(ROOMS)
    assert {name for name in names if name.endswith(".py")} == modules
    assert not [name for name in names if not (ROOT / package / name).is_file()]


def test_readme_is_a_front_page() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= MAX_README_LINES


def test_the_tour_is_seven_files_that_can_be_read_in_an_hour() -> None:
    text = (ROOT / "README.md").read_text().partition("## Where to start reading\n")[2]
    tour = re.findall(r"^\d\. \[[^]]*\]\(([^)]*)\)", text, re.M)
    assert len(tour) == 7
    assert sum(len((ROOT / name).read_text().splitlines()) for name in tour) < 1_500
    first = "tests/loop/test_the_loop_in_memory.py"
    assert first in text and len((ROOT / first).read_text().splitlines()) < 150
