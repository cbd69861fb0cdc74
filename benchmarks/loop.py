"""The whole loop: the report of `headrace up --once` on MovieLens-100K on this machine."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


def run() -> dict[str, Any]:
    """The report of one run."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        subprocess.run(
            [sys.executable, "-m", "headrace.cli", "up", "--once", f"--report={report}"], check=True
        )
        result: dict[str, Any] = json.loads(report.read_text())
    return result
