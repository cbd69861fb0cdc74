"""Columns of a table that tell the context of requests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ASK = """
import json, sys
from pathlib import Path
from headrace.datasets.table.loader import load
dataset = load(Path(sys.argv[1]))
events = [[event.user_id, event.context] for event in dataset.events()]
print(json.dumps([events, [str(row.reason) for row in dataset.bad_rows]]))
"""
MAPPING = """
context: {device: {kind: word, max_length: 5}, hour: number}
events:
  {file: e.csv, user_id: u, item_id: i, time: {column: t, unit: s}, clicked: c,
   context: {device: d, hour: h}}
"""


def loaded(folder: Path, text: str, mapping: str = MAPPING) -> Any:
    (folder / "headrace.yaml").write_text(mapping)
    (folder / "e.csv").write_text(text)
    return subprocess.run(
        [sys.executable, "-c", ASK, str(folder)],
        env={**os.environ, "HEADRACE_APP": str(folder)},
        capture_output=True,
        text=True,
    )


def test_each_row_tells_the_fields_that_are_not_empty(tmp_path: Path) -> None:
    rows = (
        "ann,a,1600000001,1,phone,0",
        "bob,a,1600000002,0,,13.5",
        "cy,a,1600000003,0,desk,",
        "di,a,1600000004,0,,",
    )
    done = loaded(tmp_path, "\n".join(("u,i,t,c,d,h", *rows)))
    assert done.returncode == 0, done.stderr
    events, bad = json.loads(done.stdout)
    assert not bad and dict(events) == {
        "ann": {"device": "phone", "hour": 0.0},
        "bob": {"hour": 13.5},
        "cy": {"device": "desk"},
        "di": None,
    }


def test_cells_that_are_not_as_declared_are_bad_rows(tmp_path: Path) -> None:
    rows = (
        "ann,a,1600000001,1,phone,1",
        "bob,a,1600000002,0,phones,1",
        "cy,a,1600000003,0,desk,noon",
    )
    events, bad = json.loads(loaded(tmp_path, "\n".join(("u,i,t,c,d,h", *rows))).stdout)
    assert [user for user, _ in events] == ["ann"]
    assert bad == ["6 characters long, at most 5", "expected a number, got 'noon'"]


def test_a_field_that_is_not_declared_is_refused(tmp_path: Path) -> None:
    done = loaded(
        tmp_path, "u,i,t,c,d,h\nann,a,1600000001,1,x,1", MAPPING.replace("{device: d", "{page: d")
    )
    assert "events.context.page: it is not declared in context, known: device, hour" in done.stderr
