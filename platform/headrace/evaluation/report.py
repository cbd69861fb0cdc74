"""The figures of an evaluation as a person reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

# Heading, name in the report, and digits; the first have values for slices, too.
PREDICTED: Final = (
    ("AUC", "auc", 4),
    ("GAUC", "gauc", 4),
    ("NE", "normalized_entropy", 4),
    ("calibration", "calibration", 3),
)
DECIDED: Final = (
    ("accuracy", "accuracy", 4),
    ("precision", "precision", 4),
    ("recall", "recall", 4),
    ("F1", "f1", 4),
)
Columns = tuple[tuple[str, str, int], ...]


def to_text(report: Mapping[str, Any]) -> str:
    """The tables: predictions with their slices, then decisions and lists; of a log without
    impressions the lists of the whole catalogue."""
    top = report["top"]
    ranked = (("recall_at_k", "Recall"), ("ndcg_at_k", "NDCG"))
    lists = (*((f"{name}@{top}", key, 4) for key, name in ranked), ("MRR", "mrr", 4))
    if "points" in report:
        return _of_next_items(report, lists)
    lines = [_head("impressions", PREDICTED)]
    for label, of_label in report["labels"].items():
        lines += _lines(label, of_label, of_label["samples"], PREDICTED)
        for name, labels in report["slices"].items():
            of_slice = labels[label]
            lines += _lines(f"  {name.replace('_', ' ')}", of_slice, of_slice["samples"], PREDICTED)
    lines += ["", _head("lists", (*DECIDED, *lists))]
    for label, of_label in report["labels"].items():
        lines += _lines(label, of_label, of_label["lists"], (*DECIDED, *lists))
    lines.append(
        f"an action is decided to come from p = {report['threshold']:g} on; a list is a "
        f"{report['list']}"
    )
    return "\n".join(lines)


def _of_next_items(report: Mapping[str, Any], columns: Columns) -> str:
    lines = [_head("points", columns)]
    for name, of_list in report["lists"].items():
        lines += _lines(name, of_list, report["points"], columns)
    over = report["ndcg_over_popular"]
    low, high = over.get("intervals", {}).get("ratio", (None, None))
    within = f" ({low:.2f} to {high:.2f})" if low is not None and high is not None else ""
    if over["ratio"] is not None:
        best = report["best_popular"]
        lines.append(f"NDCG@{report['top']} over {best}: {over['ratio']:.2f}{within}")
    lines.append(
        "a point is an item that its user chose and had not chosen before; ranked are all "
        f"{report['items']:,} items but those he had chosen"
    )
    return "\n".join(lines)


def _head(counted: str, columns: Columns) -> str:
    return f"{'':20}{counted:>13}" + "".join(f"{heading:>13}" for heading, _, _ in columns)


def _lines(name: str, numbers: Mapping[str, Any], count: int, columns: Columns) -> list[str]:
    """The figures, and below them the bounds of their intervals where there are some."""
    lines = [f"{name:20}{count:>13,}" + _cells({**numbers}, columns)]
    intervals = numbers.get("intervals")
    if not intervals:
        return lines
    for place, bound in enumerate(("from", "to")):
        bounds = {key: of[place] for key, of in intervals.items()}
        lines.append(f"{'  95 % ' + bound:33}" + _cells(bounds, columns))
    return lines


def _cells(numbers: Mapping[str, float | None], columns: Columns) -> str:
    values = ((numbers.get(key), digits) for _, key, digits in columns)
    return "".join(
        f"{'-' if value is None else f'{value:.{digits}f}':>13}" for value, digits in values
    )
