"""The house rules that a machine can check: who imports whom, sizes, clocks, names, and the map."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORE = "platform/headrace/"
ROOMS = (CORE, "feature_repo/", "serving/", "trainers/")
CODE = (*ROOMS, "benchmarks/", "tests/")

MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 40
MAX_MAIN_LINES = 60
MAX_PARAMETERS = 6
MAX_LINE = 100
MAIN_LOOP = re.compile(r"main|run|\w*_loop")
BAD_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager"}

ROOMS_ABOVE = {"serving", "trainers", "feature_repo", "tests", "benchmarks"}
# What a request is made of runs in a replica, in evaluation and in tests alike.
PURE = ROOMS_ABOVE | {"ray", "starlette", "torch", "feast", "redis", "kafka"}

# What a folder's files must not import. The longest folder that matches a file counts.
FORBIDDEN = {
    CORE: ROOMS_ABOVE | {"ray"},
    **{f"{CORE}{folder}/": PURE for folder in ("pipeline", "retrieval")},
    f"{CORE}ads/": PURE - {"redis"},  # its stores
    f"{CORE}stream/": ROOMS_ABOVE | {"ray.serve", "ray.train", "ray.data"},
    "serving/": {"trainers", "feature_repo", "tests", "benchmarks", "ray.train", "ray.data"},
    "trainers/": {"serving", "feature_repo", "tests", "benchmarks", "ray.serve"},
    "benchmarks/": {"tests"},
}
FEATURE_REPO_IMPORTS = {"feast", "headrace.feast_adapter", "headrace.features"}

# Who may read the environment beside the settings, and why.
ENVIRONMENT = {
    f"{CORE}__main__.py": "takes an application file that is wrong out of it, to say how it is",
    f"{CORE}application/current.py": "tables of actions and features are made at import",
    f"{CORE}config.py": "the settings",
    f"{CORE}services/download.py": "XDG_CACHE_HOME: where every program of this user keeps caches",
    "serving/__main__.py": "Ray Serve takes its switches from the environment when it is imported",
}
# Who may look at the clock or sleep in the core, and why. A monotonic clock measures durations and
# is free to use.
CLOCK = {
    f"{CORE}clock.py": "the clock",
    f"{CORE}stream/job.py": "the pause before a worker that ended is started again",
    f"{CORE}services/ray_node.py": "the pause between two looks at a port",
    f"{CORE}services/haproxy_keeper.py": "a program of its own that looks at HAProxy now and then",
    f"{CORE}datasets/replay.py": "keeps the pace of live traffic; event times come from the log",
}
CLOCK_CALLS = {
    *("time.sleep", "time.time", "time.time_ns"),
    *("datetime.now", "datetime.utcnow", "datetime.today", "date.today"),
}

# Spelled in parts, so that this file passes its own test.
MACHINE_PATHS = re.compile(
    rf"(?<![\w.])/(?:{'|'.join(('root', 'work', 'Users', 'tmp', 'home(?!/ray/)'))})/"
)
REGISTRY_HOSTS = re.compile(
    "|".join(
        rf"\b{name}\.{end}\b"
        for name, end in [
            *(("pypi", "org"), ("pythonhosted", "org"), ("pytorch", "org/whl")),
            *(("anaconda", "org"), ("huggingface", "co"), ("docker", "io"), ("ghcr", "io")),
            *(("quay", "io"), ("npmjs", "org"), ("maven", "org"), ("crates", "io")),
        ]
    )
)

Function = ast.FunctionDef | ast.AsyncFunctionDef


def files(*folders: str, suffix: str = "") -> list[str]:
    """The files below these folders, relative to the root, without caches."""
    found = (path for folder in folders for path in (ROOT / folder).rglob(f"*{suffix}"))
    names = (path.relative_to(ROOT).as_posix() for path in found if path.is_file())
    return sorted(name for name in names if "__pycache__" not in name)


def tracked() -> list[str]:
    """The files that git tracks; skips where there is no git checkout."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def tree(name: str) -> ast.Module:
    return ast.parse((ROOT / name).read_text(), filename=name)


def functions(name: str) -> Iterator[Function]:
    return (
        n for n in ast.walk(tree(name)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def imports(name: str) -> set[str]:
    """Dotted names that a file imports, wherever in the file, also by `import_module("...")`."""
    found: set[str] = set()
    for node in ast.walk(tree(name)):
        match node:
            case ast.Import():
                found |= {alias.name for alias in node.names}
            case ast.ImportFrom(level=0, module=str(module)):
                found |= {f"{module}.{alias.name}" for alias in node.names}
            case ast.ImportFrom():
                found.add("a relative import")
            case ast.Call(args=[ast.Constant(value=str(module)), *_]) if called(node) in (
                "importlib.import_module",
                "import_module",
                "__import__",
            ):
                found.add(module)
    return found


def called(node: ast.AST) -> str:
    """The dotted name that a call or an attribute spells, empty if it spells none."""
    if isinstance(node, ast.Call):
        return called(node.func)
    if isinstance(node, ast.Attribute):
        left = called(node.value)
        return f"{left}.{node.attr}" if left else ""
    return node.id if isinstance(node, ast.Name) else ""


def within(module: str, parents: set[str]) -> bool:
    return any(module == parent or module.startswith(f"{parent}.") for parent in parents)


def rule_for(name: str) -> set[str]:
    folders = [folder for folder in FORBIDDEN if name.startswith(folder)]
    return FORBIDDEN[max(folders, key=len)] if folders else set()


def last_two(dotted: str) -> str:
    return ".".join(dotted.split(".")[-2:])


@pytest.mark.parametrize("room", [*ROOMS, "benchmarks/"])
def test_a_room_imports_only_what_its_row_of_the_table_allows(room: str) -> None:
    problems = [
        f"{name} imports {module}"
        for name in files(room, suffix=".py")
        for module in sorted(imports(name))
        if within(module, rule_for(name) | {"a relative import"})
    ]
    assert not problems, "\n".join(problems)


def test_the_feature_repository_imports_only_feast_and_the_feature_table() -> None:
    problems = [
        f"{name} imports {module}"
        for name in files("feature_repo", suffix=".py")
        for module in imports(name)
        if not within(module, FEATURE_REPO_IMPORTS | {"__future__"})
    ]
    assert not problems, "\n".join(problems)


def test_platform_stays_a_source_root_and_not_a_package() -> None:
    assert not (ROOT / "platform" / "__init__.py").exists()
    assert not (ROOT / "tests" / "platform").exists()


def test_modules_are_named_after_what_they_hold() -> None:
    parts = {name: set(Path(name).with_suffix("").parts) for name in files(*CODE, suffix=".py")}
    problems = [name for name, words in parts.items() if words & BAD_NAMES]
    assert not problems, "\n".join(problems)


def test_no_two_test_files_have_the_same_name() -> None:
    """pytest imports them all as modules of one folder."""
    names = [path.name for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py"]
    assert sorted(names) == sorted(set(names))


def test_files_are_short_and_lines_fit() -> None:
    problems = []
    for name in files(*CODE, suffix=".py"):
        lines = (ROOT / name).read_text().splitlines()
        if len(lines) > MAX_FILE_LINES:
            problems.append(f"{name}: {len(lines)} lines")
        long = [number for number, line in enumerate(lines, 1) if len(line) > MAX_LINE]
        problems += [f"{name}:{number}: longer than {MAX_LINE}" for number in long]
    assert not problems, "\n".join(problems)


def test_functions_are_short() -> None:
    problems = []
    for name in files(*CODE, suffix=".py"):
        for function in functions(name):
            length = (function.end_lineno or function.lineno) - function.lineno + 1
            limit = MAX_MAIN_LINES if MAIN_LOOP.fullmatch(function.name) else MAX_FUNCTION_LINES
            if length > limit:
                problems.append(f"{name}:{function.lineno}: {function.name} has {length} lines")
    assert not problems, "\n".join(problems)


def test_functions_take_few_parameters() -> None:
    problems = []
    for name in files(*CODE, suffix=".py"):
        for function in functions(name):
            number = len(parameters(function))
            if number > MAX_PARAMETERS:
                problems.append(f"{name}:{function.lineno}: {function.name} takes {number}")
    assert not problems, "\n".join(problems)


def test_functions_are_annotated() -> None:
    problems = []
    for name in files(*CODE, suffix=".py"):
        for function in functions(name):
            bare = [p.arg for p in parameters(function) if p.annotation is None]
            bare += [] if function.returns else ["return"]
            if bare:
                problems.append(f"{name}:{function.lineno}: {function.name}: {', '.join(bare)}")
    assert not problems, "\n".join(problems)


def parameters(function: Function) -> list[ast.arg]:
    """The parameters without self and cls."""
    all_of = function.args
    found = [*all_of.posonlyargs, *all_of.args, *all_of.kwonlyargs]
    found += [star for star in (all_of.vararg, all_of.kwarg) if star]
    return [p for p in found if p.arg not in ("self", "cls")]


def test_only_the_settings_read_the_environment() -> None:
    users = {name for name in files(*ROOMS, suffix=".py") if environment_uses(name)}
    assert users == set(ENVIRONMENT), "also give the reason, or drop the entry"


def environment_uses(name: str) -> list[str]:
    uses = {called(node) for node in ast.walk(tree(name))} | imports(name)
    return [use for use in uses if within(use, {"os.environ", "os.getenv", "os.environb"})]


def test_nothing_in_the_core_looks_at_the_clock_or_sleeps() -> None:
    users = {
        name
        for name in files(CORE, suffix=".py")
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Call) and last_two(called(node)) in CLOCK_CALLS
    }
    users |= {name for name in files(CORE, suffix=".py") if imports(name) & CLOCK_CALLS}
    assert users == set(CLOCK), "also give the reason, or drop the entry"


def test_nothing_names_a_place_on_one_machine_or_a_package_host() -> None:
    problems = []
    for name in tracked():
        for number, line in enumerate((ROOT / name).read_text(errors="replace").splitlines(), 1):
            found = MACHINE_PATHS.search(line) or REGISTRY_HOSTS.search(line)
            if found:
                problems.append(f"{name}:{number}: {found[0]}")
    assert not problems, "\n".join(problems)
