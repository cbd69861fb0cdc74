"""The levels: a package imports only packages on levels below its own."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "platform" / "headrace"

# The longest name that matches a module counts: headrace.features.rows is on a level of its own.
LEVELS: Final = (
    "__init__ action clock config documents/document epoch errors event events keys paths rooms "
    "sample settings skipped access application features/aggregation index metrics",
    "api broker catalogue features features/store positions services",
    "ads documents encoders features/rows model pipeline",
    "encoders/arrivals features/checks features/online learning registry retrieval",
    "feast_adapter monitoring slates",
    "datasets feature_repo stream up",
    "evaluation offline",
    "commands benchmarks",
    "cli serving trainers",
    "__main__",
)
LEVEL_OF: Final = {name: level for level, names in enumerate(LEVELS) for name in names.split()}


def package_of(module: str) -> str:
    """The longest package of the table that a dotted name lies in, empty if none."""
    parts = module.removeprefix("headrace.").split(".")
    names = ("/".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((name for name in names if name in LEVEL_OF), "")


def files() -> Iterator[tuple[str, Path]]:
    """Each file of the core and of the rooms beside it, with its package."""
    roots = [(CORE, CORE), *((ROOT, ROOT / room) for room in ("serving", "trainers"))]
    for root, folder in [*roots, (ROOT, ROOT / "feature_repo"), (ROOT, ROOT / "benchmarks")]:
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            yield package_of(".".join(parts)), path


def imported(path: Path) -> Iterator[str]:
    """The modules of the project that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def is_ours(module: str) -> bool:
    return module.split(".")[0] in ("headrace", "serving", "trainers", "benchmarks", "feature_repo")


def upward() -> set[tuple[str, str]]:
    """Pairs of packages of which the first imports the second, though that is not below it."""
    found = set()
    for package, path in files():
        targets = {package_of(module) for module in imported(path) if is_ours(module)}
        level = LEVEL_OF.get(package, len(LEVELS))
        # The modules at the top of the core are one room.
        found |= {
            (package, target)
            for target in targets - {package, ""}
            if LEVEL_OF[target] >= level and not (level == LEVEL_OF[target] == 0)
        }
    return found


def test_every_file_has_a_level() -> None:
    assert not [path for package, path in files() if not package]


def test_a_package_imports_only_packages_on_levels_below_its_own() -> None:
    assert not upward()


ROOMS_ABOVE: Final = {"benchmarks", "serving", "trainers"}
ON_FEAST: Final = {"benchmarks", "feast_adapter", "feature_repo"}
MATERIALIZES: Final = "headrace.offline.materialize"  # imported where it is called, not before
ON_RAY: Final = {*ROOMS_ABOVE, "feast_adapter", "feature_repo", "stream"}
ON_TORCH: Final = {
    *ROOMS_ABOVE,
    "encoders",
    "evaluation",
    "learning",
    "model",
    "registry",
    "slates",
}
FORBIDDEN: Final = (  # packages that do, and what the others do not load
    (ON_FEAST, {"feast", "typeguard"}),
    (ON_RAY, {"ray", "starlette"}),
    (ON_RAY | ON_TORCH, {"torch", "pandas"}),
)
NUMPY_ALONE: Final = {"kafka", "pandas", "pyarrow", "ray", "redis", "torch", "typeguard", "feast"}


def module_of(path: Path) -> str:
    root = CORE.parent if CORE in path.parents else ROOT
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def loaded_by(modules: Iterable[str]) -> list[str]:
    """What a fresh interpreter has after importing these, and the variables that they set."""
    code = (
        "import importlib, os, sys\n"
        "before = dict(os.environ)\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
        "print(*sys.modules, *(f'${name}' for name in os.environ.keys() - before.keys()))"
    )
    words = [sys.executable, "-c", code, *modules]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize(("others", "forbidden"), FORBIDDEN)
def test_importing_a_module_defines_things_and_loads_what_its_room_may(
    others: set[str], forbidden: set[str]
) -> None:
    modules = {module_of(path) for package, path in files() if package not in others}
    loaded = loaded_by(sorted(modules - {MATERIALIZES}))
    assert len(modules) > 50 and not forbidden & set(loaded)
    changed = {name for name in loaded if name.startswith("$")}
    assert changed <= ({"$RAY_CLIENT_MODE"} if "ray" in loaded else set())  # Ray's own


def test_only_the_adapter_and_measurements_of_feast_name_it() -> None:
    named = {
        package
        for package, path in files()
        if any(module.split(".")[0] == "feast" for module in imported(path))
    }
    assert named == {"benchmarks", "feast_adapter"}


def test_features_are_numpy_and_no_client_library() -> None:
    loaded = loaded_by(["headrace.features.inputs", "headrace.features.schema"])
    assert not NUMPY_ALONE & set(loaded)
