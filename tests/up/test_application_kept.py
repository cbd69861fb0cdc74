"""The application of a run: a copy in its home, so that every part has the same actions."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from headrace import config
from headrace.application.current import load
from headrace.up.home import keep_application


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "headrace.yaml").write_text("actions: [click, purchase]\n")
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def kept(home: Path, app: Path | str) -> str:
    return keep_application(config.settings(home=str(home), app=str(app)))


@pytest.mark.parametrize("name", ["", "headrace.yaml"])
def test_the_file_is_copied_and_its_later_changes_are_not(
    shop: Path, home: Path, name: str
) -> None:
    before = load(str(shop))
    copy = kept(home, shop / name)
    assert copy == str(home / "headrace.yaml")
    (shop / "headrace.yaml").write_text("actions: [click]\n")
    assert dataclasses.replace(load(copy), path=before.path) == before
    assert kept(home, copy) == copy, "a run of the same home goes on with it"


def test_the_features_beside_it_are_copied_too(shop: Path, home: Path) -> None:
    (shop / "features.yaml").write_text("without: [user_idle_log]\n")
    kept(home, shop)
    assert (home / "features.yaml").read_text() == "without: [user_idle_log]\n"
    (shop / "features.yaml").unlink()
    kept(home, shop)
    assert not (home / "features.yaml").exists()


def test_a_run_without_one_leaves_none_of_an_earlier_run(shop: Path, home: Path) -> None:
    kept(home, shop)
    assert kept(home, "") == "" and not list(home.iterdir())


def test_the_parts_and_other_terminals_are_told_the_copy(shop: Path, home: Path) -> None:
    settings = config.settings(home=str(home), app=str(shop))
    told = config.environment(config.changed(settings, app=keep_application(settings)))
    assert told["HEADRACE_APP"] == str(home / "headrace.yaml")
    assert config.load(told).app == told["HEADRACE_APP"]
