"""The loading of a user's own log from CSV and Parquet: rows a second, and the peak of memory.

The log is generated: page views of five items each, in the order of time, by 100,000 users of
20,000 items whatever the number of rows; and once more as CSV whose hours are shuffled, which has
to be sorted. Each load is a process of its own. By number of rows and kind of file:

    rows_per_s     of the load, which counts, checks and reports every row, as `headrace check` does
    told_per_s     rows a second of a pass over the events, as a replay makes it
    imported_mb    of memory before the load: Python and what it imports
    peak_mb        of memory at most until the load was done, of which the above is a part
    told_peak_mb   the same until the events were told too
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from headrace.datasets.registry import load_dataset
from headrace.event import ImpressionEvent

NUM_ROWS: Final = 10_000_000
SMALLER: Final = 10  # times fewer rows, to show by what memory grows
CHUNK_ROWS: Final = 1_000_000
NUM_USERS, NUM_ITEMS, PER_VIEW = 100_000, 20_000, 5
START_MS: Final = 1_714_521_600_000
STEP_MS: Final = 40  # from a page view to the next
SHUFFLED: Final = "csv_shuffled"
KINDS: Final = ("csv", "parquet", SHUFFLED)
MAPPING: Final = """\
events:
  file: events.{ending}
  user_id: visitor
  item_id: sku
  time: {{column: time, unit: iso}}
  clicked: clicked
  outcomes: {{purchase: bought}}
  request_id: page_view
  position: {{column: slot, first: 1}}
  surface: page
  money: {{column: price, currency: EUR}}
"""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of the benchmark."""
    parser.add_argument("--rows", type=int, default=NUM_ROWS, metavar="N", help="of the log")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Each kind of file with a tenth of the rows, and with all of them."""
    return {
        str(num_rows): {kind: measured(kind, num_rows) for kind in KINDS}
        for num_rows in (options.rows // SMALLER, options.rows)
    }


def measured(kind: str, num_rows: int) -> dict[str, float]:
    """What the process of one load says of itself."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, kind, num_rows)
        words = [sys.executable, "-m", "benchmarks.load_files", name]
        found = subprocess.run(words, check=True, stdout=subprocess.PIPE)
    figures: dict[str, float] = json.loads(found.stdout)
    print(kind, num_rows, figures, file=sys.stderr, flush=True)
    return figures


def write(folder: Path, kind: str, num_rows: int) -> None:
    """A folder with the log as one file, and its mapping."""
    ending = kind.removesuffix("_shuffled")
    (folder / "headrace.yaml").write_text(MAPPING.format(ending=ending))
    writer: Any = None
    for rows in _chunks(num_rows, kind == SHUFFLED):
        if writer is None:
            kind_of_writer = pyarrow.csv.CSVWriter if ending == "csv" else pq.ParquetWriter
            writer = kind_of_writer(folder / f"events.{ending}", rows.schema)
        writer.write_table(rows)
    writer.close()


def _chunks(num_rows: int, is_shuffled: bool) -> Iterator[pa.Table]:
    """The rows of the log, some at a time; seeded, so that all kinds of file have the same."""
    for start in range(0, num_rows, CHUNK_ROWS):
        rows = _rows(start, min(CHUNK_ROWS, num_rows - start))
        if is_shuffled:
            views = np.random.default_rng(start).permutation(-(-len(rows) // PER_VIEW))
            place_N = (views[:, None] * PER_VIEW + np.arange(PER_VIEW)).ravel()
            rows = rows.take(pa.array(place_N[place_N < len(rows)]))
        yield rows


def _rows(start: int, num_rows: int) -> pa.Table:
    """Page views, a row for each item in them."""
    draw = np.random.default_rng([1, start])
    row_N = np.arange(start, start + num_rows)
    view_N, slot_N = row_N // PER_VIEW, row_N % PER_VIEW
    user_V = draw.integers(0, NUM_USERS, num_rows // PER_VIEW + 1)
    first_V = draw.integers(0, NUM_ITEMS, len(user_V))
    place_N = view_N - view_N[0]
    clicked_N = draw.random(num_rows) < 0.05
    time = pa.array(START_MS + view_N * STEP_MS).cast(pa.timestamp("ms"))
    return pa.table(
        {
            "time": pc.strftime(time, "%Y-%m-%dT%H:%M:%SZ"),
            "visitor": _named("v", user_V[place_N]),
            "sku": _named("sku-", (first_V[place_N] + 37 * slot_N) % NUM_ITEMS),
            "page_view": _named("pv", view_N),
            "slot": 1 + slot_N,
            "page": pa.array(["front", "search", "cart"]).take(pa.array(view_N % 3)),
            "clicked": pa.array(clicked_N),
            "bought": pa.array(clicked_N & (draw.random(num_rows) < 0.1)),
            "price": pa.array(np.round(draw.lognormal(3, 1, num_rows), 2)),
        }
    )


def _named(prefix: str, number_N: Any) -> pa.Array:
    return pc.binary_join_element_wise(prefix, pa.array(number_N).cast(pa.string()), "")


def load(folder: Path) -> dict[str, float]:
    """The figures of one load in this process, which does nothing else."""
    imported_mb, began_s = peak_mb(), time.monotonic()
    dataset = load_dataset("table", folder)
    took_s, loaded_mb = time.monotonic() - began_s, peak_mb()
    assert dataset.counts is not None and not dataset.bad_rows
    num_rows = sum(dataset.counts.rows.values())
    began_s, num_told = time.monotonic(), 0
    for event in dataset.events():
        num_told += len(event.items) if isinstance(event, ImpressionEvent) else 1
    told_s = time.monotonic() - began_s
    assert num_told == num_rows == dataset.counts.num_impressions
    return {
        "rows_per_s": round(num_rows / took_s),
        "told_per_s": round(num_rows / told_s),
        "imported_mb": round(imported_mb),
        "peak_mb": round(loaded_mb),
        "told_peak_mb": round(peak_mb()),
    }


def peak_mb() -> float:
    """The most memory that this program has had; what `getrusage` tells begins with what the
    process had that started it."""
    (line,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(line) / 1_000


if __name__ == "__main__":
    print(json.dumps(load(Path(sys.argv[1]))))
