"""`headrace evaluate`: one pass over a log's train and test periods, and what came of it."""

from __future__ import annotations

import argparse
import json
import math
import resource
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from headrace import config
from headrace.errors import ConfigError
from headrace.evaluation.log import add_log_flags, open_log


def add_evaluate(commands: Any) -> None:
    """Add `evaluate` to the command line."""
    evaluate = commands.add_parser(
        "evaluate", help="how well the ranker predicts a log: features as of each row, one pass"
    )
    add_log_flags(evaluate)
    evaluate.add_argument(
        "--online", action="store_true", help="go on training through the test, after predicting"
    )
    evaluate.add_argument(
        "--publish-every",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="with --online: predict with the model of so often in the log (default: of now)",
    )
    evaluate.add_argument(
        "--frozen-features", action="store_true", help="learn nothing of users and items in it"
    )
    evaluate.add_argument(
        "--inputs", type=Path, metavar="OUT", help="write what the ranker saw, as Parquet"
    )
    evaluate.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace, settings: config.Settings) -> int:
    import torch

    from headrace.evaluation.inputs_file import InputsFile
    from headrace.evaluation.progressive import Evaluation, batches_of, ranker_config
    from headrace.evaluation.visibility import Observer

    _check(options)
    torch.set_num_threads(1)  # batches are small: two threads wait for each other more than work
    log = open_log(options)
    content = log.content(settings)
    ranker = ranker_config(options.size, log.labels, log.surfaces, content.vectors.widths)
    every_ms = int(options.publish_every * 1_000)
    evaluation = Evaluation(ranker, log.labels, content, options.seed, options.online, every_ms)
    observer = Observer(log.items, log.users, freeze=options.frozen_features)
    started_s = time.monotonic()
    with ExitStack() as stack:
        file: InputsFile | None = None
        if options.inputs:
            file = InputsFile(options.inputs, log.labels, log.items, log.users)
            stack.enter_context(file.open())
        for batch in log.told(batches_of(observer.observe(log.rows()))):
            evaluation.take(batch)
            if file:
                file.write(batch, evaluation.affinities(batch))
    num_rows = log.train.num_rows + log.test.num_rows
    result = {
        **evaluation.quality.report(),
        "samples": log.test.num_rows,
        "samples_per_s": round(num_rows / (time.monotonic() - started_s), 1),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024, 1),
        "regime": _regime(options),
        "size": options.size,
        "seed": options.seed,
    }
    print(_table(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0


def _check(options: argparse.Namespace) -> None:
    if options.online and options.frozen_features:
        raise ConfigError(
            "--online learns through the test, --frozen-features does not: give one of them"
        )
    if not 0 <= options.publish_every < math.inf:
        raise ConfigError(f"--publish-every {options.publish_every}: expected seconds, 0 or more")
    if options.publish_every and not options.online:
        raise ConfigError("--publish-every says when a model that goes on is used: give --online")


def _regime(options: argparse.Namespace) -> str:
    if options.publish_every:
        return f"online: model and features go on, a version every {options.publish_every:g} s"
    if options.online:
        return "online: model and features go on"
    if options.frozen_features:
        return "model and features frozen after the train"
    return "model frozen after the train, features go on"


def _table(result: Mapping[str, Any]) -> str:
    """The result as a person reads it."""
    lines = [f"{result['samples']:,} test rows; {result['regime']}; {result['size']}"]
    lines.append(f"{'':24}{'rows':>9}{'AUC':>9}{'GAUC':>9}{'NE':>9}{'calibration':>13}")
    for label, of_label in result["labels"].items():
        lines.append(_line(label, of_label))
        for name, labels in result["slices"].items():
            lines.append(_line(f"  {name.replace('_', ' ')}", labels[label]))
    lines.append(f"{result['samples_per_s']:,} rows/s, {result['peak_rss_mb']:,} MB at most")
    return "\n".join(lines)


def _line(name: str, numbers: Mapping[str, Any]) -> str:
    columns = (numbers.get(column) for column in ("auc", "gauc", "normalized_entropy"))
    shown = "".join(f"{'-' if value is None else f'{value:.4f}':>9}" for value in columns)
    calibration = numbers["calibration"]
    last = "-" if calibration is None else f"{calibration:.3f}"
    return f"{name:24}{numbers['samples']:>9,}{shown}{last:>13}"
