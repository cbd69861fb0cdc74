"""The quality table: progressive quality by slice of the traffic, as a table for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

from headrace.skipped import shortened


def quality_table(quality: Mapping[str, Mapping[str, Any]]) -> Table:
    """A row for each slice; `quality` is that of a trainer's document, as JSON has it."""
    table = Table("clicks", title="progressive quality of the newest impressions")
    for heading in ("impressions", "AUC", "normalised entropy", "calibration"):
        table.add_column(heading, justify="right")
    for name, one in quality.items():
        numbers = (one["auc"], one["normalized_entropy"], one["calibration"])
        cells = ("-" if number is None else f"{number:.4f}" for number in numbers)
        table.add_row(escape(shortened(name)), f"{one['samples']:,}", *cells)
    return table
