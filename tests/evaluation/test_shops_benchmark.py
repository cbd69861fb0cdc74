"""The invented shops of `make bench ARGS="shops"`: files that tell little, from cells to slates."""

from __future__ import annotations

from pathlib import Path
from random import Random

from benchmarks.shops import auc_by_price, num_of_own_group, purchases, written

NUM_SLATE_ITEMS = 800


def test_a_file_of_purchases_alone_gives_slates_of_ones_own_group(tmp_path: Path) -> None:
    dataset = written(tmp_path / "shop", purchases(960, Random(0)))
    assert num_of_own_group(dataset, seed=0) >= NUM_SLATE_ITEMS - 20  # chance is a quarter


def test_a_price_on_every_row_makes_nothing_of_what_was_only_seen(tmp_path: Path) -> None:
    auc = auc_by_price(tmp_path, 4_000, seed=0)
    assert auc["without"] > 0.7
    assert auc["as_value"] >= auc["without"] - 0.005
