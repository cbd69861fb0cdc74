"""The quality tables: progressive quality by slice of the traffic, and of what was drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

from headrace.skipped import shortened


def quality_table(quality: Mapping[str, Mapping[str, Any]]) -> Table:
    """A row for each slice of the clicks, and for each other action; `quality` is that of a
    trainer's document, as JSON has it."""
    table = Table("clicks, or action", title="progressive quality of the newest impressions")
    for heading in ("impressions", "AUC", "normalised entropy", "calibration"):
        table.add_column(heading, justify="right")
    for name, one in quality.items():
        numbers = (one["auc"], one["normalized_entropy"], one["calibration"])
        cells = ("-" if number is None else f"{number:.4f}" for number in numbers)
        table.add_row(escape(shortened(name)), f"{one['samples']:,}", *cells)
    return table


def choices_table(choices: Mapping[str, Any]) -> Table:
    """One row: where the chosen ones of drawn requests came; `choices` are those of a trainer's
    document, as JSON has them."""
    table = Table("drawn", title="progressive quality of the newest requests that were drawn")
    for heading in ("requests", *choice_figures(choices)):
        table.add_column(heading, justify="right")
    table.add_row("all", f"{choices['requests']:,}", *choice_figures(choices).values())
    return table


def choice_figures(choices: Mapping[str, Any]) -> dict[str, str]:
    """The figures of drawn requests by name, as people read them."""
    top = choices["top"]
    names = {f"Recall@{top}": "recall", f"NDCG@{top}": "ndcg", "MRR": "mrr"}
    values = {name: choices[key] for name, key in names.items()}
    return {name: "-" if value is None else f"{value:.4f}" for name, value in values.items()}
