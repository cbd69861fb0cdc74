"""Datasets are found by name or by the files in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.datasets import registry
from headrace.errors import DatasetError


@pytest.mark.parametrize(
    ("files", "name"),
    [
        (["headrace.yaml"], "table"),
        (["headrace.yaml", "ratings.parquet"], "table"),
        (["impressions.parquet", "videos.parquet"], "kuairand"),
        (["ratings.parquet"], "movielens"),
        (["ml-100k.inter"], "movielens"),
        (["all.csv", "item_context.csv"], "openbandit"),
        (["clicks.parquet"], "globo"),
    ],
)
def test_a_folder_is_recognised_by_its_files(tmp_path: Path, files: list[str], name: str) -> None:
    for file in files:
        (tmp_path / file).touch()
    assert registry.detect(tmp_path) == name
    assert name in registry.LOADERS


def test_a_folder_with_nothing_known_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "all.csv").touch()
    with pytest.raises(DatasetError) as caught:
        registry.detect(tmp_path)
    for looked_for in ("headrace.yaml (table)", "all.csv and item_context.csv (openbandit)"):
        assert looked_for in str(caught.value)


def test_a_folder_that_is_not_there_or_no_folder_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for folder, problem in ((tmp_path / "absent", "does not exist"), (file, "is not a folder")):
        with pytest.raises(DatasetError, match=problem):
            registry.detect(folder)
        with pytest.raises(DatasetError, match=problem):
            registry.load_dataset("movielens", folder)


def test_an_unknown_name_lists_the_known_ones() -> None:
    known = "movielens, kuairand, kuairand-history, openbandit, globo, table"
    with pytest.raises(DatasetError, match=known):
        registry.load_dataset("netflix", None)


def test_a_dataset_is_loaded_by_name_and_has_that_name() -> None:
    assert registry.load_dataset("movielens", None).name == "movielens"
    assert registry.load_dataset("openbandit", None).name == "openbandit"


@pytest.mark.parametrize("name", ["kuairand", "table"])
def test_a_dataset_without_a_wheel_needs_a_folder(name: str) -> None:
    with pytest.raises(DatasetError, match="--data FOLDER"):
        registry.load_dataset(name, None)
