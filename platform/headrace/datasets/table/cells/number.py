"""Numbers as files write them, by an example: "1.234,50 EUR" shows separators and units."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final

EXAMPLE: Final = re.compile(
    r"(?P<before>\D*?)1(?P<group>\D?)234(?:(?P<point>\D)50*)?(?P<after>(?:\D.*)?)", re.DOTALL
)
MINUS: Final = "\u2212-"  # the sign, as keyboards and as typesetters write it
SPACES: Final = str.maketrans("\u00a0\u202f", "  ")


@dataclass(frozen=True)
class NumberPattern:
    """How a file writes 1234.5: its separators, and the units before and after, which may lack."""

    before: str
    after: str
    group: str
    point: str

    @classmethod
    def of(cls, example: str) -> NumberPattern:
        """The pattern that an example shows; raises `ValueError` where it shows none."""
        found = EXAMPLE.fullmatch(example.translate(SPACES))
        if found is None or (found["group"] and found["group"] == found["point"]):
            expected = "expected 1234.5 as the file writes it, such as '1.234,50 EUR'"
            raise ValueError(f"got {example!r}, {expected}")
        point = found["point"] or ""
        return cls(found["before"].strip(), found["after"].strip(), found["group"], point)

    @cached_property
    def _cell(self) -> re.Pattern[str]:
        group, point = re.escape(self.group), re.escape(self.point)
        grouped = rf"\d{{1,3}}(?:{group}\d{{2,3}})*{group}\d{{3}}|" if group else ""
        fraction = rf"(?:{point}(?P<fraction>\d*))?" if point else "(?P<fraction>)"
        before, after = re.escape(self.before), re.escape(self.after)
        return re.compile(
            rf"(?P<sign>[{MINUS}])?\s*(?:{before})?\s*(?P<second>[{MINUS}])?\s*"
            rf"(?P<whole>{grouped}\d+){fraction}\s*(?:{after})?"
        )

    def plain(self, text: str) -> str | None:
        """The number as Python writes it, None where the text is none of this pattern."""
        found = self._cell.fullmatch(text.translate(SPACES).strip())
        if found is None or (found["sign"] and found["second"]):
            return None
        sign = "-" if found["sign"] or found["second"] else ""
        whole = found["whole"].replace(self.group, "") if self.group else found["whole"]
        return f"{sign}{whole}.{found['fraction'] or '0'}"
