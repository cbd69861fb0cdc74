"""FuseRank and the field's standard models, side by side in one run, on identical inputs.

For KuaiRand and MovieLens: FuseRank in its regimes, LightGBM, DIN and DCNv2 on what the ranker saw,
each number with its seeds, and the differences with intervals. The rules are those of `headrace
evaluate`: outcomes are visible after a minute, one pass, the test is later than the train.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from benchmarks import quality_logs
from benchmarks.outside import larger_data
from benchmarks.peers import environment
from benchmarks.quality_logs import LogFiles
from benchmarks.quality_rankers import Predictions, run_rankers, write_inputs
from benchmarks.quality_scores import Tables
from headrace.errors import ConfigError

LOGS: Final = ("kuairand", "movielens")
NO_PEERS: Final = "none"
NUM_DRAWS, QUICK_DRAWS = 200, 20
NAME_WIDTH: Final = 40
COLUMNS: Final = {"auc": "AUC", "gauc": "GAUC", "normalized_entropy": "NE"}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of this benchmark."""
    peers, logs = ",".join(environment.MODULES), ",".join(LOGS)
    parser.add_argument("--kuairand", type=Path, default=larger_data("kuairand"), metavar="FOLDER")
    parser.add_argument("--logs", default=logs, help=f"some of {logs} (default: all)")
    parser.add_argument("--peers", default=peers, help=f"{NO_PEERS}, or some of {peers}")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="how many (default: 3)")
    parser.add_argument("--size", default="nano", help="of FuseRank (default: nano)")
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="leave inputs and predictions here, by log"
    )
    parser.add_argument(
        "--quick", action="store_true", help="5,000 rows of each log, to see that all parts work"
    )


def run(options: argparse.Namespace) -> dict[str, Any]:
    """By log: every model's numbers, the gains, and how they came about.

    What is known so far is in `--json` after each log.
    """
    peers, logs = _chosen(options.peers, environment.MODULES), _chosen(options.logs, LOGS)
    if options.seeds < 1:
        raise ConfigError(f"--seeds {options.seeds}: expected 1 or more")
    torch.set_num_threads(1)
    result: dict[str, Any] = {"versions": _versions(bool(peers)), "quick": options.quick}
    for name in logs:
        with _folder(name, options.keep) as folder:
            log = _log_files(name, folder, options)
            result[name] = _measure(log, peers, options) if log else _absent(options.kuairand)
        if options.json:
            options.json.write_text(json.dumps(result, indent=2) + "\n")
    return result


@contextmanager
def _folder(name: str, keep: Path | None) -> Iterator[Path]:
    """An empty folder for the files of a log, that stays if it is to be kept."""
    if keep is None:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
    elif (keep / name).exists():
        raise ConfigError(f"--keep {keep}: expected a folder in which there is no {name} yet")
    else:
        (keep / name).mkdir(parents=True)
        yield keep / name


def _chosen(text: str, known: Sequence[str] | Mapping[str, Any]) -> list[str]:
    chosen = [] if text == NO_PEERS else text.split(",")
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise ConfigError(f"{unknown[0]}: expected some of {', '.join(known)}, with commas")
    return chosen


def _log_files(name: str, folder: Path, options: argparse.Namespace) -> LogFiles | None:
    if name == "movielens":
        return quality_logs.movielens(folder, options.quick)
    if not options.kuairand or not (options.kuairand / "impressions.parquet").exists():
        return None
    return quality_logs.kuairand(options.kuairand, folder, options.quick)


def _absent(folder: Path | None) -> dict[str, str]:
    found = f"{folder} has no impressions.parquet" if folder else "HEADRACE_TEST_DATA is not set"
    said = f"{found}: give KuaiRand's folder with --kuairand FOLDER"
    print(f"kuairand is left out: {said}", file=sys.stderr)
    return {"left_out": said}


def _measure(log: LogFiles, peers: Sequence[str], options: argparse.Namespace) -> dict[str, Any]:
    """One log: FuseRank, then the peers on what it saw, then what all of it was worth."""
    seeds = list(range(options.seeds))
    inputs, plain = (log.folder / f"{name}.parquet" for name in ("inputs", "plain"))
    flags = [*log.flags, f"--size={options.size}"]
    spent_s, began_s = {}, time.monotonic()
    rows, models = run_rankers(flags, seeds, inputs)
    for name, of_seeds in models.items():
        for seed, predictions in enumerate(of_seeds):
            _write(log.folder / f"fuserank-{seed}" / f"{name}.parquet", log.labels, predictions)
    spent_s["FuseRank"], began_s = time.monotonic() - began_s, time.monotonic()
    if peers:
        write_inputs(replace(log, history=None).flags, plain)
        spent_s["plain inputs"], began_s = time.monotonic() - began_s, time.monotonic()
    commands = [["headrace", "evaluate", *flags, "--online", "--seed=0"]]
    for peer in peers:
        for seed in seeds:
            out = log.folder / f"{peer}-{seed}"
            out.mkdir()
            commands.append(environment.predict(peer, inputs, plain, out, seed))
            for file in sorted(out.iterdir()):
                models.setdefault(file.stem, []).append(_read(file, log.labels))
        spent_s[peer], began_s = time.monotonic() - began_s, time.monotonic()
    draws = QUICK_DRAWS if options.quick else NUM_DRAWS
    report = Tables(log.labels, rows, models, draws).report()
    spent_s["scoring"] = time.monotonic() - began_s
    print(_table(log.name, report), file=sys.stderr)
    return {
        "train": pq.read_metadata(log.folder / "train.parquet").num_rows,
        "test": pq.read_metadata(log.folder / "test.parquet").num_rows,
        "seeds": seeds,
        "draws": draws,
        **report,
        "commands": [" ".join(map(str, command)) for command in commands],
        "spent_s": {name: round(seconds, 1) for name, seconds in spent_s.items()},
    }


def _write(file: Path, labels: Sequence[str], predictions: Predictions) -> None:
    """In the form in which the peers write theirs."""
    now, late = predictions.p_QJ.T, predictions.p_at_midnight_QJ.T
    columns = dict(zip(labels, now, strict=True)) | dict(zip(_late(labels), late, strict=True))
    file.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), file)


def _read(file: Path, labels: Sequence[str]) -> Predictions:
    table, names = pq.read_table(file), (labels, _late(labels))
    return Predictions(*(np.column_stack([table[n].to_numpy() for n in of]) for of in names))


def _late(labels: Sequence[str]) -> list[str]:
    return [f"{label}@midnight" for label in labels]


def _versions(with_peers: bool) -> dict[str, Any]:
    ours = {name: importlib.metadata.version(name) for name in ("headrace", "torch", "numpy")}
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    peers = list(environment.REQUIREMENTS) if with_peers else []
    return {**ours, "python": platform.python_version(), "machine": machine, "peers": peers}


def _table(name: str, report: Mapping[str, Any]) -> str:
    """The models, then the gains, as a person reads them."""
    heads = "".join(f"{head:>9}" for head in (*COLUMNS.values(), "calibr.", "new usr", "new itm"))
    lines = [f"\n{name}", f"{'':11}{'':{NAME_WIDTH}}{heads}"]
    for label in next(iter(report["models"].values()))["labels"]:
        for model, of_model in report["models"].items():
            numbers = of_model["labels"][label]
            cells = [numbers[column] for column in (*COLUMNS, "calibration")]
            cells += [of_slice[label]["auc"] for of_slice in of_model["slices"].values()]
            lines.append(f"{label:11}{model:{NAME_WIDTH}}{''.join(map(_cell, cells))}")
    for gain in report["gains"]:
        interval = "".join(_cell(gain[bound]) for bound in ("value", "low", "high"))
        what = f"{gain['label']}, {gain['rows']}, {gain['metric']}"
        lines.append(f"{what:36}{interval}  {gain['model']} - {gain['than']}")
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    return f"{'-' if value is None else f'{value:.4f}':>9}"
