"""Sealed parts in files: who makes the same one maps the same file, and it can be extended."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from headrace.index import sealed, shared
from headrace.index.sealed import Floats, Sealed
from headrace.index.vector_index import VectorIndex

RANDOM = np.random.default_rng(0)
VECTORS: Floats = RANDOM.normal(0, 1, (3_000, 8)).astype(np.float32)
KEYS = RANDOM.permutation(np.arange(1, 3_001))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "FLAT", 100)


def made(folder: Path, exact: int = 5_000, num: int = 3_000) -> Sealed:
    parts = Sealed.of(KEYS[:num], VECTORS.__getitem__, 100, exact)
    return shared.shared(parts, folder)


def maps_of(folder: Path) -> str:
    lines = Path("/proc/self/maps").read_text().splitlines()
    return "\n".join(line for line in lines if str(folder) in line)


@pytest.mark.parametrize("exact", [5_000, 100])
def test_the_same_part_is_mapped_from_one_file_and_finds_the_same(
    tmp_path: Path, exact: int
) -> None:
    first, second = made(tmp_path, exact), made(tmp_path, exact)
    assert len(list(tmp_path.glob("*.index"))) == 1 and len(maps_of(tmp_path).splitlines()) >= 4
    own = Sealed.of(KEYS, VECTORS.__getitem__, 100, exact)
    for part in (first, second):
        assert part.nearest(VECTORS[7], 20, None)[1].tolist() == (
            own.nearest(VECTORS[7], 20, None)[1].tolist()
        )
        assert part.places(KEYS[5:6]).tolist() == [5]


@pytest.mark.parametrize("exact", [5_000, 100])
def test_a_mapped_part_is_extended_in_memory(tmp_path: Path, exact: int) -> None:
    part = made(tmp_path, exact).extended(np.array([9_999]), 10 * VECTORS[:1])
    assert part.key_N[part.nearest(VECTORS[0], 1, None)[1]].tolist() == [9_999]


def test_the_newest_files_stay_and_what_is_mapped_goes_on(tmp_path: Path) -> None:
    first = made(tmp_path)
    for path in tmp_path.iterdir():
        os.utime(path, (0, 0))
    for number in range(shared.KEEP):
        made(tmp_path, num=1_000 + number)
    assert len(list(tmp_path.iterdir())) == len(shared.ENDINGS) * shared.KEEP
    assert len(first.nearest(VECTORS[0], 10, None)[1]) == 10


def test_where_nothing_can_be_written_each_has_its_own(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    index = VectorIndex(KEYS, VECTORS.__getitem__, 8, file / "folder")
    assert len(index.nearest(VECTORS[0], 5)) == 5 and sealed.FLAT > 0
