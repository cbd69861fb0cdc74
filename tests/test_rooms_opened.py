"""Rooms: found in a wheel and in a checkout, and before anybody else's packages of their names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from headrace.errors import ConfigError
from headrace.rooms import folder
from headrace.rooms.folder import open_rooms, room_path

ROOT = Path(__file__).resolve().parents[1]
AS_INSTALLED = """
import sys
from pathlib import Path
from headrace.rooms import folder
from headrace.rooms.__main__ import main
folder.FOLDERS = (Path(sys.argv.pop(1)),)
main()
"""
HELLO = "import sys; from serving import whose; print(__name__, whose, sys.argv[1:])"


def write_serving(parent: Path, whose: str) -> Path:
    """A folder with a package `serving`; the folder."""
    (parent / "serving").mkdir(parents=True)
    (parent / "serving" / "__init__.py").write_text(f"whose = {whose!r}\n")
    return parent


def test_a_room_of_a_checkout_is_found_and_one_that_is_nowhere_says_what_to_do() -> None:
    assert room_path("feature_repo") == ROOT / "feature_repo"
    with pytest.raises(ConfigError, match="no folder no_such_room/ in .* install headrace from"):
        room_path("no_such_room")


def test_the_rooms_within_an_installed_package_come_before_those_around_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = write_serving(tmp_path / "headrace" / "rooms", "the wheel's")
    monkeypatch.setattr(folder, "FOLDERS", (inside, ROOT))
    assert room_path("serving") == inside / "serving"
    assert room_path("trainers") == ROOT / "trainers"


def test_rooms_are_opened_once_and_before_everything_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "FOLDERS", (write_serving(tmp_path / "rooms", "the wheel's"),))
    monkeypatch.setattr(sys, "path", ["elsewhere"])
    open_rooms()
    open_rooms()
    assert sys.path == [str(tmp_path / "rooms"), "elsewhere"]


def test_a_module_of_a_room_runs_as_a_program_beside_a_package_of_the_same_name(
    tmp_path: Path,
) -> None:
    inside = write_serving(tmp_path / "rooms", "the wheel's")
    (inside / "serving" / "hello.py").write_text(HELLO)
    here = write_serving(tmp_path / "here", "the user's")
    words = [sys.executable, "-c", AS_INSTALLED, str(inside), "serving.hello", "--loud"]
    environ = {"PYTHONPATH": f"{ROOT / 'platform'}"}
    done = subprocess.run(words, cwd=here, env=environ, capture_output=True, text=True)
    assert done.stdout == "__main__ the wheel's ['--loud']\n", done.stderr
