"""The running platform is found by commands of its user: one, several, none, and what is stale."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import msgspec
import pytest

from headrace import cli, config
from headrace.commands.running import find, settings_for
from headrace.errors import ConfigError, ServiceError
from headrace.services.processes.owner import Owner
from headrace.up.run_file import RunFile, RunFolder

DEAD = Owner(os.getpid(), 1, Owner.current().pid_namespace)  # this id, and not this process


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """The run files of a user without settings."""
    for name in [name for name in os.environ if name.startswith(("HEADRACE_", "REDIS", "KAFKA"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return RunFolder(config.runtime_path())


def platform(namespace: str, owner: Owner | None = None, **settings: object) -> RunFile:
    url = "redis://:secret@127.0.0.1:7/0"
    made = config.settings(namespace=namespace, redis_url=url, **settings)
    return RunFile(owner=owner or Owner.current(), started_ms=0, variables=config.environment(made))


def settings(name: str | None = None) -> config.Settings:
    options = argparse.Namespace(command="explain", uses_platform=True, platform=name)
    return settings_for(options)


def test_the_only_platform_is_taken_and_named(
    runs: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.write(platform("shop", max_ahead_s=7.0, port=8123))
    taken = settings()
    assert (taken.namespace, taken.stream.max_ahead_s) == ("shop", 7.0)
    assert taken.redis_url == "redis://:secret@127.0.0.1:7/0"
    said = capsys.readouterr().err
    assert said.startswith("headrace explain: using the running platform shop (process ")
    assert "http://127.0.0.1:8123" in said and said.count("\n") == 1 and "secret" not in said
    assert os.environ["HEADRACE_NAMESPACE"] == "shop"  # where Feast reads it


def test_without_one_the_environment_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert settings() == config.Settings()
    assert not capsys.readouterr().err


@pytest.mark.parametrize("name", ["REDIS_URL", "KAFKA_BOOTSTRAP", "HEADRACE_NAMESPACE"])
def test_a_place_in_the_environment_wins_wholly(
    runs: RunFolder, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.write(platform("shop", max_ahead_s=7.0))
    monkeypatch.setenv(name, "other")
    assert settings() == config.load()
    assert not capsys.readouterr().err
    with pytest.raises(ConfigError, match=f"--platform shop and {name} in the environment"):
        settings("shop")


def test_a_place_of_a_running_platform_names_it(
    runs: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("shop", "books"):
        runs.write(platform(name, max_ahead_s=7.0))
    monkeypatch.setenv("HEADRACE_NAMESPACE", "books")
    taken = settings()
    assert (taken.namespace, taken.stream.max_ahead_s) == ("books", 7.0)
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "127.0.0.1:1")
    assert find(None) is None


def test_other_variables_are_laid_over_the_platforms(
    runs: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs.write(platform("shop", max_ahead_s=7.0, batch_size=9))
    monkeypatch.setenv("HEADRACE_MAX_AHEAD_S", "8")
    taken = settings()
    assert (taken.namespace, taken.stream.max_ahead_s) == ("shop", 8.0)
    assert taken.training.batch_size == 9
    monkeypatch.setenv("HEADRACE_MAX_AHEAD", "8")
    with pytest.raises(ConfigError, match="did you mean HEADRACE_MAX_AHEAD_S"):
        settings()


def test_a_platform_of_a_build_with_other_settings_is_named(runs: RunFolder) -> None:
    run = platform("shop")
    runs.write(msgspec.structs.replace(run, variables={**run.variables, "HEADRACE_NEW": "1"}))
    said = f"^the platform {run.id} was started by another build of headrace .HEADRACE_NEW: "
    with pytest.raises(ConfigError, match=said):
        settings()


def test_of_several_one_must_be_named(runs: RunFolder) -> None:
    others = [platform("shop"), platform("books")]
    for one in others:
        runs.write(one)
    with pytest.raises(ConfigError, match="^2 platforms fit: name one with --platform: ") as caught:
        settings()
    assert "shop (process " in str(caught.value) and "books (process " in str(caught.value)
    with pytest.raises(ConfigError, match="^no platform 'toys' runs here; those of this user: "):
        settings("toys")
    assert find("books") == find(others[1].id) == others[1]


def test_one_that_was_killed_is_not_found_and_is_swept(runs: RunFolder) -> None:
    runs.write(platform("gone", DEAD))
    runs.write(platform("here"))
    assert settings().namespace == "here"
    assert [run.names[0] for run in runs.sweep()] == ["gone"]
    assert [path.name for path in config.runtime_path().iterdir()] == [f"here-{os.getpid()}.json"]


def test_only_its_user_can_read_a_run_file_and_it_goes_at_the_end(runs: RunFolder) -> None:
    run = platform("shop")
    runs.write(run)
    runs.write(msgspec.structs.replace(run, ray_address="127.0.0.1:1"))
    (path,) = config.runtime_path().iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert runs.running()[0].ray_address == "127.0.0.1:1"
    runs.remove(run)
    assert not runs.running() and not list(path.parent.iterdir())


def test_the_folder_of_somebody_else_is_not_believed(runs: RunFolder, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    RunFolder(elsewhere).write(platform("planted"))
    config.runtime_path().symlink_to(elsewhere)
    assert runs.running() == []
    with pytest.raises(ServiceError, match="is not a folder of this user|XDG_RUNTIME_DIR"):
        runs.write(platform("shop"))


def test_a_file_that_is_none_is_passed_over(runs: RunFolder) -> None:
    runs.write(platform("shop"))
    (config.runtime_path() / "x.json").write_bytes(b"{")
    assert [run.names[0] for run in runs.running()] == ["shop"]


def test_its_settings_can_be_put_into_a_shell(
    runs: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.write(platform("shop"))
    assert cli.main(["status", "--env"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "export HEADRACE_NAMESPACE=shop" in lines
    assert "export REDIS_URL=redis://:secret@127.0.0.1:7/0" in lines


def test_status_without_a_platform_says_how_to_start_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["status"]) == 2
    assert "no platform of this user runs here: start one with `headrace up`" in (
        capsys.readouterr().err
    )


def test_status_of_a_platform_whose_redis_is_away_says_so_without_its_password(
    runs: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.write(platform("shop", port=9))
    assert cli.main(["status"]) == 1
    said = capsys.readouterr().out
    assert "shop-" in said and "NOT healthy" in said
    assert "problem: Redis does not answer at redis://***@127.0.0.1:7/0" in said
    assert "problem: http: no answer on port 9" in said and "secret" not in said
