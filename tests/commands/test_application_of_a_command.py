"""The application file of a command: which counts, that it is checked whole, and taken."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from headrace import cli, config
from headrace.application.current import APPLICATION
from headrace.commands.application import application_of, take_application
from headrace.errors import ConfigError
from headrace.services.processes.owner import Owner
from headrace.up.run_file import RunFile, RunFolder

MAPPING = "events: {file: e.csv, user_id: u, item_id: i, time: {column: t, unit: s}, clicked: c}\n"
EVENTS = "u,i,t,c,p\nann,mug,1714557600,1,1\nann,pen,1714557600,0,0\nbob,mug,1714557660,1,0\n"


class Replaced(Exception):
    """This process would have become another program."""


@pytest.fixture(autouse=True)
def _a_user_without_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in the environment, no platform that runs, and no process is replaced."""
    for name in [name for name in os.environ if name.startswith(("HEADRACE_", "REDIS", "KAFKA"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))

    def replaced(program: str, words: list[str]) -> None:
        raise Replaced(words)

    monkeypatch.setattr(os, "execv", replaced)


def written(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "headrace.yaml").write_text(text)
    return folder / "headrace.yaml"


def of(**options: Any) -> str:
    return application_of(argparse.Namespace(**{"app": None, "data": None, **options}))


def running(app: str) -> RunFile:
    made = config.Settings(namespace="shop", app=app)
    run = RunFile(owner=Owner.current(), started_ms=0, variables=config.environment(made))
    RunFolder(config.runtime_path()).write(run)
    return run


def test_without_a_file_there_is_none() -> None:
    assert of() == "" == of(uses_platform=True, platform=None)


def test_a_flag_wins_over_the_environment_and_that_over_the_folder_of_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named, given, data = (
        written(tmp_path / name, "heads: [click]\n") for name in ("named", "given", "data")
    )
    assert of(data=data.parent) == str(data)
    monkeypatch.setenv("HEADRACE_APP", str(given.parent))
    assert of(data=data.parent) == str(given)
    assert of(app=named, data=data.parent) == str(named) == of(app=named.parent)


def test_a_folder_of_data_counts_where_it_has_sections_beside_the_mapping(tmp_path: Path) -> None:
    path = written(tmp_path / "shop", MAPPING)
    assert of(data=path.parent) == "" == of(data=tmp_path / "none")
    path.write_text(f"{MAPPING}surfaces: [home]\n")
    assert of(data=path.parent) == str(path)


def test_a_relative_path_becomes_an_absolute_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "shop", "heads: [click]\n")
    monkeypatch.chdir(tmp_path)
    assert of(app=Path("shop")) == str(path) == of(data=Path("shop"))
    monkeypatch.setenv("HEADRACE_APP", "shop/headrace.yaml")
    assert of() == str(path)
    assert config.environment(config.load())["HEADRACE_APP"] == str(path)


def test_a_running_platform_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    its = written(tmp_path / "home", "heads: [click]\n")
    other = written(tmp_path / "other", "heads: [click, like]\n")
    same = written(tmp_path / "same", its.read_text())
    monkeypatch.setenv("HEADRACE_APP", str(other))
    running(str(its))
    on_it = {"uses_platform": True, "platform": None}
    assert of(**on_it, data=other.parent) == str(its) == of(**on_it, app=same)
    assert of(platform="shop", model_version=3) == str(its), "that of the version's publisher"
    with pytest.raises(ConfigError, match=f"--app {other}: the running platform shop has {its}: "):
        of(**on_it, app=other)


def test_a_running_platform_without_one_has_the_default(tmp_path: Path) -> None:
    running("")
    other = written(tmp_path / "other", "heads: [click]\n")
    assert of(uses_platform=True, platform=None, data=other.parent) == ""
    with pytest.raises(ConfigError, match="the running platform shop has the default application"):
        of(uses_platform=True, platform=None, app=other)


def test_sections_without_effect_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    running("")
    other = written(tmp_path / "other", f"{MAPPING}heads: [click]\nsurfaces: [home]\n")
    on_it = {"uses_platform": True, "platform": None, "app": None, "command": "replay"}
    take_application(argparse.Namespace(**on_it, data=other.parent), [])
    said = capsys.readouterr().err
    assert f"{other}: heads, surfaces have no effect: the application is the default one" in said


def test_a_command_is_started_again_where_this_process_has_another_application(
    tmp_path: Path,
) -> None:
    path = written(tmp_path / "shop", "actions: [click, purchase]\n")
    assert APPLICATION.path == ""
    with pytest.raises(Replaced) as caught:
        cli.main(["stream", f"--app={path.parent}"])
    assert caught.value.args[0][1:] == ["-m", "headrace.cli", "stream", f"--app={path.parent}"]
    assert os.environ["HEADRACE_APP"] == str(path)


@pytest.mark.parametrize("command", ["up", "stream", "train", "serve", "materialize", "replay"])
def test_every_problem_of_the_file_is_told_before_anything_starts(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "shop", "heads: [nope]\nevents: {file: e.csv, clickd: c}\nuser: {}\n")
    assert cli.main([command, f"--app={path}"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"headrace {command}: {path}: ") and said.count("\n") == 1
    for problem in ("heads: got 'nope'", "events.clickd: unknown key", "user: unknown key"):
        assert problem in said


def told(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "headrace", *arguments]
    return subprocess.run(
        words, env={**os.environ, **environ}, capture_output=True, text=True, timeout=60
    )


def test_a_wrong_file_in_the_environment_is_one_line_with_all_problems(tmp_path: Path) -> None:
    path = written(tmp_path / "shop", "heads: [nope]\nevents: {clickd: c}\n")
    done = told("features", "list", HEADRACE_APP=str(path.parent))
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"headrace: {path}: heads: got 'nope'")
    assert "events.clickd: unknown key" in done.stderr


def test_the_actions_of_the_file_are_those_of_the_process(tmp_path: Path) -> None:
    text = f"{MAPPING[:-2]}, outcomes: {{purchase: p}}}}\nactions: [click, purchase]\n"
    path = written(tmp_path / "shop", text)
    (path.parent / "e.csv").write_text(EVENTS)
    listed = told("features", "list", f"--app={path.parent}").stdout
    assert "user_purchase_rate" in listed and "user_like_rate" not in listed
    checked = told("check", f"--data={path.parent}")
    assert checked.returncode == 0, checked.stderr
    assert "'mug' (click, purchase)" in checked.stdout


def test_the_mapping_of_an_application_elsewhere_describes_the_folder(tmp_path: Path) -> None:
    path = written(tmp_path / "words", f"{MAPPING}heads: [click]\n")
    files = tmp_path / "files"
    files.mkdir()
    (files / "e.csv").write_text(EVENTS)
    checked = told("check", f"--data={files}", f"--app={path}")
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.startswith("3 events: 3 impressions, 2 positives; 2 items, 2 users")


def test_variables_override_the_file(tmp_path: Path) -> None:
    text = "actions: [click, like, purchase]\nheads: [click, like]\nranking: {click: 1, like: 2}\n"
    path = written(tmp_path / "shop", f"{text}surfaces: [home]\n")
    ask = (
        "from headrace.config import load; s = load();"
        "print(s.training.heads, s.serving.rank_by, s.training.surfaces)"
    )
    environ = {**os.environ, "HEADRACE_APP": str(path)}
    over = {
        "HEADRACE_HEADS": "click,purchase",
        "HEADRACE_SURFACES": "search",
        "HEADRACE_RANK_BY": "click=3",
    }
    said = [
        subprocess.run(
            [sys.executable, "-c", ask], env=one, capture_output=True, text=True, check=True
        ).stdout
        for one in (environ, {**environ, **over})
    ]
    assert said[0] == "('click', 'like') {'click': 1.0, 'like': 2.0} ('home',)\n"
    assert said[1] == "('click', 'purchase') {'click': 3.0} ('search',)\n"
