"""Crosses of shared entities with surfaces and words of the context are rows of a file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROW = "{entity: candidate, aggregator: rate, measure: click, prior: 0.25, strength: 4"
FEATURES = f"""
accumulators:
  by_surface: {{kind: by_word, field: surface, num_slots: 256}}
  by_device: {{kind: by_word, field: device, num_slots: 256}}
  item_here: {{kind: here, of: by_surface, whose: item}}
  item_device: {{kind: here, of: by_device, whose: item}}
  user_device: {{kind: here, of: by_device, whose: user}}
  its_author: {{kind: of_groups, of: life, groups: author}}
  its_author_today: {{kind: of_groups, of: day, groups: author}}
  category_here: {{kind: here, of: by_surface, whose: category}}
  category_device: {{kind: here, of: by_device, whose: category}}
features:
  item_here_rate: {ROW}, over: item_here, description: on the surface}}
  item_device_rate: {ROW}, over: item_device, description: on the device}}
  user_device_rate: {ROW}, over: user_device, description: of the user on the device}}
  author_rate: {ROW}, over: its_author, description: of the author}}
  author_day_rate: {ROW}, over: its_author_today, description: of the author today}}
  category_here_rate: {ROW}, over: category_here, description: of the categories on the surface}}
  category_device_rate: {ROW}, over: category_device, description: of them on the device}}
"""


def test_each_is_what_was_counted_before_the_request(tmp_path: Path) -> None:
    (tmp_path / "headrace.yaml").write_text("context: {device: word}\n")
    (tmp_path / "features.yaml").write_text(FEATURES)
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("crosses_by_word.py"))],
        env={**os.environ, "HEADRACE_APP": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    assert done.stdout == "as counted\n"
