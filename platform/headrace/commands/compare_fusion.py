"""`headrace compare-fusion`: the same ranker with each way of fusing modalities, side by side.

All learn from the same rows with the same features in one pass, so that nothing else differs.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from headrace import config
from headrace.commands.flags import add_vectors_flag
from headrace.errors import ConfigError
from headrace.evaluation.files.log import Log, add_log_flags, open_log

if TYPE_CHECKING:
    from headrace.evaluation.files.visibility import Observed


def add_compare_fusion(commands: Any) -> None:
    """Add `compare-fusion` to the command line."""
    compare = commands.add_parser(
        "compare-fusion", help="a log predicted with each fusion: quality, parameters and time"
    )
    add_log_flags(compare)
    add_vectors_flag(compare)
    compare.add_argument("--fusions", help="some of them, with commas (default: all)")
    compare.set_defaults(run=_compare)


def _compare(options: argparse.Namespace, settings: config.Settings) -> int:
    from headrace.model.layers.fusion import FUSIONS

    names = options.fusions.split(",") if options.fusions else list(FUSIONS)
    unknown = [name for name in names if name not in FUSIONS]
    if unknown:
        raise ConfigError(f"--fusions {unknown[0]}: expected some of {', '.join(FUSIONS)}")
    result = _run(open_log(options, settings), names, settings)
    print(_table(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0


def _run(log: Log, names: Sequence[str], settings: config.Settings) -> dict[str, Any]:
    """By fusion: the online quality of each label, parameters, and microseconds a row."""
    import torch

    from headrace.evaluation.files.evaluation import Evaluation
    from headrace.evaluation.files.visibility import Observer
    from headrace.evaluation.progress import with_progress
    from headrace.evaluation.progressive import ranker_config
    from headrace.evaluation.row import batches_of

    torch.set_num_threads(1)  # times are of one core
    options, content = log.options, log.content(settings)
    ranker = ranker_config(options.size, log.labels, log.surfaces, content.vectors.widths)
    rankers = {name: replace(ranker, fusion=name) for name in names}
    running = {
        name: Evaluation(of_name, log.labels, content, options.seed, online=True)
        for name, of_name in rankers.items()
    }
    spent_s = dict.fromkeys(names, 0.0)
    observed = Observer(log.items, log.users, log.days).observe(log.rows())
    for batch in with_progress(batches_of(observed), log.num_rows):
        for name, evaluation in running.items():
            spent_s[name] += _seconds(evaluation, batch)
    return {
        name: {
            **evaluation.quality.report()["labels"],
            "parameters": evaluation.num_parameters,
            "us_per_row": round(1e6 * spent_s[name] / log.num_rows, 1),
        }
        for name, evaluation in running.items()
    }


def _seconds(evaluation: Any, batch: Sequence[Observed]) -> float:
    """The process's CPU time for one batch."""
    started_s = time.process_time()
    evaluation.take(batch)
    return time.process_time() - started_s


def _table(result: dict[str, Any]) -> str:
    """A line per fusion and label, the best AUC of the first label first."""
    (label, *_) = next(iter(result.values()))
    ordered = sorted(result.items(), key=lambda one: -(one[1][label]["auc"] or 0.0))
    heads = ("fusion", "label", "AUC", "NE", "calibration", "parameters", "µs/row")
    lines = [_line(heads)]
    for name, measured in ordered:
        costs = (f"{measured['parameters']:,}", f"{measured['us_per_row']:,.0f}")
        for of_label, numbers in measured.items():
            if isinstance(numbers, dict):
                columns = ("auc", "normalized_entropy", "calibration")
                told = (_told(numbers[column]) for column in columns)
                lines.append(_line((name, of_label, *told, *costs)))
    return "\n".join(lines)


def _told(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _line(cells: Sequence[str]) -> str:
    return f"{cells[0]:18}{cells[1]:12}" + "".join(f"{cell:>13}" for cell in cells[2:])
