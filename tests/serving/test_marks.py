"""The marks of degraded answers are those of the documentation."""

from __future__ import annotations

import re
from pathlib import Path

from headrace.api.slate import MARKS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "serving.md"


def test_the_page_tells_of_every_mark_in_the_order_of_answers() -> None:
    table = PAGE.read_text().split("## Marks")[1].split("\n## ")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == MARKS
