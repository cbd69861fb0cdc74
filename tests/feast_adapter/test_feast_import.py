"""Feast is imported without what only costs time: torch, and run-time checks of its definitions."""

from __future__ import annotations

import subprocess
import sys

import torch

from headrace.feast_adapter import first_import as before_feast

ASK = """
import sys
import headrace.offline.materialize
from feast import FeatureView

print("torch" in sys.modules, "typeguard" in FeatureView.__init__.__code__.co_names)
"""


def test_feast_loads_no_torch_before_it_is_asked_for_and_checks_no_types() -> None:
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, check=True, text=True)
    assert done.stdout.split() == ["False", "False"]
    assert before_feast.torch_on_demand.get_torch() is torch
