"""Tables of 1 to 8 actions, whatever their rows: all that is made of them agrees.

Event, facts, join, labels, batch, and the learner's heads, in memory.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("seed", [1, 2])
def test_tables_of_one_to_eight_actions_go_from_events_to_the_learners_heads(seed: int) -> None:
    script = Path(__file__).with_name("tables_of_actions.py")
    done = subprocess.run(
        [sys.executable, str(script), str(seed)], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    num_labels = json.loads(done.stdout)
    assert list(num_labels) == [str(num) for num in range(1, 9)] and all(num_labels.values())
