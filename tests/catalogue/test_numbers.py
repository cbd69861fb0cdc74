"""Attributes that are declared as numbers: columns of the item table and of the stream alike."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ASK = """
import json
import numpy as np
from headrace.catalogue.item import Item
from headrace.catalogue.table.table import table_of
from headrace.features.rows.item_columns import CatalogueColumns
from headrace.keys import key

items = [
    Item("a", attributes=("weight=12.5", "colour=red"), price_micros=2_500_000),
    Item("b", attributes=("weight=heavy", "price=10-20"), price_micros=1_000_000),
    Item("c", attributes=("weight=1e99", "weight=", "price=7")),
    Item("d"),
]
table = table_of(items)
rows = table.rows_of_ids([item.item_id for item in items] + ["nobody"])
columns = CatalogueColumns({item.item_id: item for item in items}.get, lambda names: np.zeros(0))
columns.meet(range(4), [item.item_id for item in items])
asked = columns.asked(np.array([0, 1, 2, 3, -1]), np.zeros(5, np.int64))
told = [str(one) for one in table.attributes(rows).tolist()]
assert told == [str(one) for one in asked.number_NA.tolist()]
words = table.words(rows)[:, 2]
is_word = [bool((words == key(f"attributes:{word}")).any()) for word in
           ("weight=12.5", "colour=red", "weight=heavy", "price=10-20", "price=7")]
print(json.dumps([told, is_word]))
"""


def test_numbers_are_columns_and_no_words(tmp_path: Path) -> None:
    declared = "attributes: {weight: {}, price: {log: true}}\n"
    (tmp_path / "headrace.yaml").write_text(declared)
    environ = {**os.environ, "HEADRACE_APP": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", ASK], env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    numbers, is_word = json.loads(done.stdout)
    assert numbers == ["[12.5, 2.5]", "[nan, 1.0]", "[nan, 7.0]", "[nan, nan]", "[nan, nan]"]
    assert is_word == [False, True, True, True, False]
