"""A catalogue of a million generated items: starts, memory, and what updates cost the requests.

Each figure is of processes of their own (`tests/serving/catalogue_parts.py`). The keys:

    snapshot_s_1m, snapshot_mb_1m  the snapshot made of the items' file, once a node; its size
    replica_start_s_1m    from the start of a process to its first slate, imports and all
    replica_mb_1m         its memory (PSS) after a minute's worth of requests, a tenth of the items
                          with states
    two_replicas_memory   the memory of two such processes at once over that of one alone
    p99_with_updates      p99 of 20 requests a second while 1,000 items a second change, over p99
                          without; and both in ms
    item_bytes_1m         memory of an item in a replica, in a worker, and in one of two workers
                          whose partitions both speak of every item; every item with a state, at
                          first and after `--churn` items came and went; and that of the table of
                          items, which is in it
    new_item_p99_ms, removed_item_p99_ms  from a PUT or DELETE of an item to the slates that show
                          it, in a small shop (`benchmarks/catalogue_arrivals.py`)
    start_s_1m            from `headrace up` to the first slate, with `--up`
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any, Final

from benchmarks import catalogue_arrivals
from benchmarks.catalogue_log import write_log
from benchmarks.front.platform import ROOT
from benchmarks.start import bare_environ, started_s

NUM_ITEMS: Final = 1_000_000
CHURN: Final = 2_000_000
PARTS: Final = ("replica", "updates", "bytes", "arrivals", "up")

Figures = dict[str, Any]


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of the benchmark."""
    parser.add_argument(
        "--items", type=int, default=NUM_ITEMS, metavar="N", help="in the catalogue"
    )
    parser.add_argument(
        "--churn", type=int, default=CHURN, metavar="N", help="items that come and go"
    )
    parser.add_argument("--only", choices=PARTS, action="append", help="parts; more than once")


def run(options: argparse.Namespace) -> Figures:
    """The figures of all parts, or of those that are asked for."""
    wanted, figures = options.only or PARTS, {"items": options.items}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if {"replica", "updates"} & set(wanted):
            figures |= part("write", folder, options.items)
        if "replica" in wanted:
            figures |= _replicas(folder)
        if "updates" in wanted:
            figures |= part("updates", folder)
        if "bytes" in wanted:
            figures["item_bytes_1m"] = {
                who: part("bytes", who, options.items, options.churn)
                for who in ("replica", "worker", "worker_of_two")
            }
        if "arrivals" in wanted:
            figures |= catalogue_arrivals.run()
        if "up" in wanted:
            figures |= _start(folder / "log", options.items)
    return figures


def _replicas(folder: Path) -> Figures:
    """One replica alone, then two at once."""
    with _started("replica", folder) as one:
        alone = _said(one)
        with _started("replica", folder) as other:
            _said(other)
            both_mb = sum(_asked(process)["mb"] for process in (one, other))
    return {
        "replica_start_s_1m": alone["start_s"],
        "replica_mb_1m": alone["mb"],
        "replica_parts_mb": alone["parts_mb"],
        "two_replicas_memory": both_mb / alone["mb"],
    }


def _start(folder: Path, num_items: int) -> Figures:
    write_log(folder, num_items)
    first_slate_s, ready_s = started_s(bare_environ(), ("--data", str(folder)))
    return {"start_s_1m": first_slate_s, "every_part_ready_s_1m": ready_s}


def part(name: str, *words: object) -> Figures:
    """The figures of one part, in a process of its own."""
    with _started(name, *words) as process:
        return _said(process)


def _started(name: str, *words: object) -> subprocess.Popen[str]:
    began_s = time.time()
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.serving.catalogue_parts",
            str(began_s),
            name,
            *map(str, words),
        ],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _asked(process: subprocess.Popen[str]) -> Figures:
    """Another line of a process that has said one."""
    stdin = _pipe(process.stdin)
    stdin.write("\n")
    stdin.flush()
    return _said(process)


def _said(process: subprocess.Popen[str]) -> Figures:
    line = _pipe(process.stdout).readline()
    if not line:
        sys.exit(f"benchmarks: {process.args!r} ended without a figure")
    figures: Figures = json.loads(line)
    print(figures, file=sys.stderr, flush=True)
    return figures


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None, "it is a pipe"
    return stream
