"""The index of versions: every number that was published, and the manifests of the newest."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.config import Settings
from headrace.errors import ServiceError
from headrace.features.schema import INPUT_SCHEMA
from headrace.model.config import RankerConfig
from headrace.registry.manifest import Manifest
from headrace.registry.versions import (
    KEEP_VERSIONS,
    VersionFiles,
    VersionIndex,
    ranges_text,
    with_number,
)


def manifest(version: int) -> Manifest:
    return Manifest(
        version=version,
        uri=f"file:///models/{version}",
        sha256="",
        created_ms=version,
        schema=INPUT_SCHEMA,
        model=RankerConfig(num_dense=1),
        num_samples=version,
        newest_event_ms=version,
    )


@given(st.lists(st.integers(1, 60)))
def test_ranges_hold_the_numbers_that_were_put_in_and_no_others(numbers: list[int]) -> None:
    ranges: tuple[tuple[int, int], ...] = ()
    for number in numbers:
        ranges = with_number(ranges, number)
    held = [number for first, last in ranges for number in range(first, last + 1)]
    assert held == sorted(set(numbers))
    assert all(last + 1 < first for (_, last), (first, _) in zip(ranges, ranges[1:], strict=False))


@pytest.mark.parametrize(
    ("ranges", "text"),
    [
        ((), "none yet"),
        (((1, 7),), "1 to 7"),
        (((1, 2), (4, 4), (6, 9)), "1 to 2, 4 to 4, 6 to 9"),
        (((1, 2), (4, 4), (6, 9), (11, 30)), "..., 4 to 4, 6 to 9, 11 to 30"),
    ],
)
def test_a_person_is_told_the_newest_ranges(ranges: tuple[tuple[int, int], ...], text: str) -> None:
    assert ranges_text(ranges) == text


def test_the_index_is_read_back_as_it_was_written_and_stays_small(tmp_path: Path) -> None:
    files = VersionFiles(Settings(namespace="shop", home=str(tmp_path)))
    assert files.read_index() is None
    files.create_folder()
    index = VersionIndex()
    for version in range(1, 1_000):
        index = index.with_version(manifest(version))
    files.write_index(index)
    read = files.read_index()
    assert read is not None and (read.newest, read.published) == (999, ((1, 999),))
    kept = [msgspec.json.decode(raw, type=Manifest) for raw in read.kept.values()]
    assert kept == [manifest(999 - KEEP_VERSIONS + n) for n in range(1, KEEP_VERSIONS + 1)]
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["shop.versions.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\x00", b'{"published": [[1]]}'])
def test_a_damaged_index_is_said_in_one_line(content: bytes, tmp_path: Path) -> None:
    files = VersionFiles(Settings(namespace="shop", home=str(tmp_path)))
    files.create_folder()
    (tmp_path / "models" / "shop.versions.json").write_bytes(content)
    with pytest.raises(ServiceError, match=r"shop\.versions\.json cannot be read") as caught:
        files.read_index()
    assert "\n" not in str(caught.value)


def test_files_of_other_namespaces_and_of_other_programs_stay(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    files = VersionFiles(Settings(namespace="shop", home=str(tmp_path)))
    files.create_folder()
    ours = {"shop-00000001.pt", "shop-00000002.pt"}
    parts = {"shop-00000003.pt.part", "shop.versions.json.part"}
    others = {"shop_2-00000001.pt", "my_shop-00000001.pt", "shop-notes.pt", "shop-00000009.pt.bak"}
    others |= {"shop_2-00000001.pt.part", "shopXversions.json.part"}
    for name in ours | parts | others:
        (folder / name).touch()
    files.remove_parts()
    files.remove_weights_but({2})
    assert {path.name for path in folder.iterdir()} == others | {"shop-00000002.pt"}
