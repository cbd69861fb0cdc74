"""`headrace serve` with settings of HTTP that cannot work: one line, before anything starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NO_PEM = str(ROOT / "README.md")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"HEADRACE_TLS_CERT": NO_PEM}, "expected a certificate and its key in PEM"),
        ({"HEADRACE_OWN_KEY": "secret"}, "hr_ID_RANDOM"),
    ],
)
def test_what_cannot_work_is_said_in_one_line(given: dict[str, str], told: str) -> None:
    environ = {name: text for name, text in os.environ.items() if not name.startswith("HEADRACE_")}
    environ["PYTHONPATH"] = f"{ROOT / 'platform'}:{ROOT}"
    done = subprocess.run(
        [sys.executable, "-m", "serving"], env={**environ, **given}, capture_output=True, text=True
    )
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2 and line.startswith("headrace serve: ") and told in line
    assert "secret" not in line
