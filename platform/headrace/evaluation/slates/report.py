"""The figures of slates as a person reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headrace.evaluation.slates.figures import GROUPS


def to_text(report: Mapping[str, Any]) -> str:
    """The tables: slates by group beside the baselines, for each judgement; then sources."""
    lines = list[str]()
    for judged in report["judged"].values():
        names = [f"{name}{report['top']}" for name in ("hr", "mrr", "ndcg")]
        lines += [judged["of"], _row("", "points", *names)]
        for name, groups in judged["lists"].items():
            shown = GROUPS if name == "slate" else GROUPS[:1]
            for group in shown:
                of_group = groups[group]
                cells = (_cell(of_group[column]) for column in names)
                lines.append(_row(f"{name}, {group}", f"{of_group['points']:,}", *cells))
        lines.append("")
    lines.append(_row("source", "quota", "recall"))
    for name, source in report["sources"].items():
        lines.append(_row(name, f"{source['quota']}", _cell(source["recall"])))
    together = next(key for key in report if key.startswith("recall_"))
    lines.append(_row("all, ranked", together.removeprefix("recall_"), _cell(report[together])))
    for case, weights in report["blend"].items():
        named = ", ".join(f"{name}: {weight:g}" for name, weight in weights.items())
        lines.append(f"blend.{case}: {{{named}}}")
    beyond = ("coverage", "diversity", "novelty", "fresh", "popularity_bias")
    told = (f"{name.replace('_', ' ')} {_cell(report[name])}" for name in beyond)
    lines.append(", ".join(told))
    return "\n".join(lines)


def _row(name: str, *cells: str) -> str:
    return f"{name:28}" + "".join(f"{cell:>10}" for cell in cells)


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
