"""The documents: what they tell a reader to type or to set exists."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.cli import build_parser
from headrace.config import FIELDS
from headrace.settings.variables import FORMER, NO_SETTINGS

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
NAMES = [path.relative_to(ROOT).as_posix() for path in DOCUMENTS]

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`([^`\n]+)`")
SHELLS = {"", "sh", "bash", "console"}
ASSIGNMENT = re.compile(r"\w+=.*")
SETTING = re.compile(r"\bHEADRACE_[A-Z][A-Z_]*[A-Z]\b")
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]+)[^)]*\)")

Words = list[str]


@pytest.fixture(scope="module", params=NAMES)
def text(request: pytest.FixtureRequest) -> str:
    return (ROOT / str(request.param)).read_text()


@pytest.fixture(scope="module")
def targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text()
    return set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))


def commands(text: str) -> Iterator[Words]:
    """The words of each `headrace` and `make` command in shell blocks and in inline code."""
    pieces = [block for language, block in BLOCK.findall(text) if language in SHELLS]
    lines = [line for piece in pieces for line in piece.replace("\\\n", " ").splitlines()]
    for line in [*lines, *INLINE.findall(BLOCK.sub("", text))]:
        yield from commands_of_line(line)


def commands_of_line(line: str) -> Iterator[Words]:
    for part in re.split(r"&&|\|\||[;|]", line.strip().removeprefix("$ ")):
        try:
            words = shlex.split(part, comments=True)
        except ValueError:  # a quote that goes on in the next line: not one of our commands
            continue
        while words and ASSIGNMENT.fullmatch(words[0]):
            words.pop(0)
        if len(words) > 1 and Path(words[0]).name in ("headrace", "make"):
            yield [Path(words[0]).name, *words[1:]]


def problem_of(words: Words, targets: set[str]) -> str | None:
    """What is wrong with a command, None if a reader can type it."""
    if words[0] == "headrace":
        return problem_of_arguments(words[1:])
    unknown = [w for w in words[1:] if not ASSIGNMENT.fullmatch(w) and w not in targets]
    if unknown:
        return f"{' '.join(words)}: the Makefile has no {', '.join(unknown)}"
    given = dict(w.split("=", 1) for w in words[1:] if ASSIGNMENT.fullmatch(w))
    if "up" in words and "ARGS" in given:
        return problem_of_arguments(["up", *shlex.split(given["ARGS"])])
    return None


def problem_of_arguments(arguments: Words) -> str | None:
    try:
        build_parser().parse_args(arguments)
    except SystemExit as stop:
        if stop.code:  # 0 for --help and --version
            return f"headrace {' '.join(arguments)}: not a command that headrace takes"
    return None


def test_each_command_can_be_typed(text: str, targets: set[str]) -> None:
    problems = [problem_of(words, targets) for words in commands(text)]
    assert not any(problems), "\n".join(filter(None, problems))


def test_each_setting_exists(text: str) -> None:
    known = FIELDS.keys() | FORMER.keys() | NO_SETTINGS
    assert set(SETTING.findall(text)) <= known


@pytest.mark.parametrize("name", NAMES)
def test_each_link_leads_to_a_file(name: str) -> None:
    folder = (ROOT / name).parent
    broken = [to for to in LINK.findall((ROOT / name).read_text()) if not (folder / to).exists()]
    assert not broken


def test_the_readme_names_each_command_of_headrace_and_the_two_of_make() -> None:
    typed = {tuple(words[:2]) for words in commands((ROOT / "README.md").read_text())}
    assert {("make", "up"), ("make", "test")} <= typed
    assert {("headrace", name) for name in subcommands(build_parser())} <= typed


def subcommands(parser: argparse.ArgumentParser) -> list[str]:
    return [
        name
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
        for name in action.choices
    ]


@pytest.mark.parametrize(
    "line",
    [
        "headrace fly",
        "headrace up --twice",
        "make coffee",
        'make up ARGS="--twice"',
        "A=b headrace stream now",
    ],
)
def test_a_command_that_does_not_exist_is_found(line: str, targets: set[str]) -> None:
    (words,) = commands_of_line(line)
    assert problem_of(words, targets)


def test_where_is_names_functions_that_are_there() -> None:
    section = (ROOT / "docs" / "architecture.md").read_text().partition("## Where is …?")[2]
    answers = re.findall(r"\]\(\.\./([\w/.]+\.py)\): `([\w.]+)`", section.partition("\n## ")[0])
    assert len(answers) >= 12
    for file, dotted in answers:
        code = (ROOT / file).read_text()
        for name in dotted.split("."):
            assert re.search(rf"^ *(?:(?:async )?def|class) {name}\b|^{name}\b.* = ", code, re.M), (
                f"{file} has no {name}"
            )
