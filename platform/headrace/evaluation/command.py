"""`headrace evaluate`: one pass over a log's train and test periods, and what came of it."""

from __future__ import annotations

import argparse
import heapq
import json
import resource
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any

from headrace import config
from headrace.datasets import kuairand, kuairand_history
from headrace.errors import ConfigError
from headrace.evaluation import impressions
from headrace.evaluation.impressions import BEFORE, TEST, TRAIN, Impression
from headrace.evaluation.inputs_file import InputsFile
from headrace.evaluation.visibility import Observed, Observer
from headrace.model.ranker_config import SIZES

REPORT_EVERY_S = 5.0
ROWS_PER_WRITE = 4_096


def add_evaluate(commands: Any) -> None:
    """Add `evaluate` to the command line."""
    evaluate = commands.add_parser(
        "evaluate", help="how well the ranker predicts a log: features as of each row, one pass"
    )
    files = {
        "--train": "impressions to learn from, as Parquet in the columns of KuaiRand",
        "--test": "impressions to predict, all of them later",
        "--users": "what is known of users before the log",
        "--items": "what is known of items before the log",
    }
    for flag, what in files.items():
        evaluate.add_argument(flag, type=Path, required=True, metavar="FILE", help=what)
    evaluate.add_argument("--history", type=Path, metavar="FILE", help="what came before the log")
    evaluate.add_argument(
        "--labels", default="is_click", help="columns to predict, with commas (default: is_click)"
    )
    evaluate.add_argument(
        "--online", action="store_true", help="go on training through the test, after predicting"
    )
    evaluate.add_argument(
        "--frozen-features", action="store_true", help="learn nothing of users and items in it"
    )
    evaluate.add_argument("--size", default="nano", help=f"{', '.join(SIZES)} (default: nano)")
    evaluate.add_argument("--seed", type=int, default=0, metavar="N")
    evaluate.add_argument("--json", type=Path, metavar="OUT", help="write the result as JSON")
    evaluate.add_argument(
        "--inputs", type=Path, metavar="OUT", help="write what the ranker saw, as Parquet"
    )
    evaluate.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace, settings: config.Settings) -> int:
    from headrace.evaluation.progressive import Evaluation, ranker_config

    labels = tuple(options.labels.split(","))
    _check(options)
    train, test = impressions.check_files(options.train, options.test, labels)
    items = {item.item_id: item for item in kuairand.read_items(options.items)}
    users = {user.user_id: user for user in kuairand.read_users(options.users)}
    ranker = ranker_config(options.size, labels, train.surfaces | test.surfaces)
    evaluation = Evaluation(ranker, labels, items, options.seed, options.online)
    observer = Observer(items, users, freeze=options.frozen_features)
    started_s = time.monotonic()
    with ExitStack() as stack:
        observed = observer.observe(_log(options, labels))
        if options.inputs:
            file = stack.enter_context(InputsFile(options.inputs, labels, items, users).open())
            observed = _written(observed, file)
        _progress(evaluation.run(observed), train.num_rows + test.num_rows)
    elapsed_s = time.monotonic() - started_s
    result = {
        **evaluation.quality.report(),
        "samples": test.num_rows,
        "samples_per_s": round(evaluation.num_rows / elapsed_s, 1),
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
    if options.size not in SIZES:
        raise ConfigError(f"--size {options.size}: expected one of {', '.join(SIZES)}")
    if options.online and options.frozen_features:
        raise ConfigError(
            "--online learns through the test, --frozen-features does not: give one of them"
        )
    for flag in ("json", "inputs"):
        path: Path | None = getattr(options, flag)
        if path and not path.absolute().parent.is_dir():
            raise ConfigError(f"--{flag} {path}: there is no folder {path.parent}")


def _log(options: argparse.Namespace, labels: tuple[str, ...]) -> Iterable[Impression]:
    """Everything in the order of time: what came before the log may reach into it."""
    log = chain(
        impressions.read(options.train, labels, TRAIN), impressions.read(options.test, labels, TEST)
    )
    if options.history is None:
        return log
    history = kuairand_history.read_events(options.history)
    before = (Impression(event, (), BEFORE) for event in history)
    return heapq.merge(before, log, key=lambda row: row.time_ms)


def _written(rows: Iterable[Observed], file: InputsFile) -> Iterator[Observed]:
    """The same rows, once they are in the file."""
    some: list[Observed] = []
    for row in rows:
        some.append(row)
        if len(some) == ROWS_PER_WRITE:
            file.write(some)
            yield from some
            some = []
    if some:
        file.write(some)
        yield from some


def _progress(rows_done: Iterator[int], num_rows: int) -> None:
    """Run to the end, saying now and then how far it is."""
    said_s = time.monotonic()
    for done in rows_done:
        if time.monotonic() - said_s > REPORT_EVERY_S:
            said_s = time.monotonic()
            print(f"{done:,} of {num_rows:,} rows", file=sys.stderr, flush=True)


def _regime(options: argparse.Namespace) -> str:
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
