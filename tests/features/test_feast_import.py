"""Feast is imported without what only costs time: torch, and run-time checks of its definitions."""

from __future__ import annotations

import subprocess
import sys

ASK = """
import sys
import headrace.materialize
from feast import FeatureView
from feast.torch_wrapper import get_torch

print("torch" in sys.modules, "typeguard" in str(FeatureView.__init__.__code__.co_names))
print(get_torch().__name__)
"""


def test_feast_loads_no_torch_before_it_is_asked_for_and_checks_no_types() -> None:
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, check=True, text=True)
    assert done.stdout.split() == ["False", "False", "torch"]
