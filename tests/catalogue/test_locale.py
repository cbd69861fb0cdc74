"""Items that are meant for a country or a language are shown to users of it alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parent / "locale_parts.py"


def test_an_item_is_for_those_who_tell_one_of_its_values(tmp_path: Path) -> None:
    (tmp_path / "headrace.yaml").write_text("locale: [country, lang]\ncontext: {country: word}\n")
    environ = {**os.environ, "HEADRACE_APP": str(tmp_path), "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        [sys.executable, str(SCRIPT)], env=environ, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == [[1], [1, 2, 3], [1, 3, 4, 5]]
