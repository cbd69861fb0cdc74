"""The encoding job: the catalogue's content in, versioned vectors of every item out.

Ray Data reads the content as a stream and runs the encoder in actors, one a core or one a GPU. What
comes back is kept every few seconds, so that a run that ends at any moment goes on where it was: an
item is encoded again only when its content or the encoder's version is another one.
"""

from __future__ import annotations

import logging
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import pyarrow as pa
import ray
import ray.data
import torch
from numpy.typing import NDArray
from ray.data import ActorPoolStrategy, DataContext
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from headrace import config
from headrace.catalogue import columnar, content
from headrace.catalogue.content import Modality
from headrace.catalogue.vector_table import SCHEMA, VectorTable, take_over
from headrace.clock import now_ms
from headrace.encoders import registry
from headrace.encoders.encoder import Setup
from headrace.errors import HeadraceError
from headrace.features.online.views import vector_view_name
from headrace.keys import key
from headrace.services.processes.ray_worker import BACKGROUND
from headrace.services.ray_node import wait_for_own_ray

KEEP_EVERY_S = 2.0
ROWS_PER_TASK = 32  # what one actor takes at once, and what is encoded again after a crash
SHOWN_PROBLEMS = 20


@dataclass(frozen=True)
class Plan:
    """The work of one encoder: the items to encode, and the table for their vectors."""

    encoder: str
    modality: Modality
    setup: Setup
    table: VectorTable
    content_hashes: dict[str, int | None]  # of every item
    todo_N: NDArray[np.int64]  # ascending: `work_key` of each item that is not encoded yet


class EncodeRows:
    """An actor with one encoder: rows of content in, rows of a vector table out."""

    def __init__(self, name: str, setup: Setup) -> None:
        torch.set_num_threads(1)  # one actor is one core
        device = "cuda" if ray.get_gpu_ids() else "cpu"  # what was assigned, not what is there
        self._encoder = registry.load(name, replace(setup, device=device))

    def __call__(self, rows: pa.Table) -> pa.Table:
        encoded = self._encoder.encode(content.values(rows, self._encoder.modality))
        return pa.table(
            [
                rows["item_id"],
                rows[f"{self._encoder.modality}_hash"],
                [
                    vector if there else None
                    for vector, there in zip(encoded.vector_ND, encoded.mask_N, strict=True)
                ],
                [encoded.problems.get(row) for row in range(len(rows))],
            ],
            schema=SCHEMA,
        )


def make_plan(name: str, settings: config.Settings) -> Plan:
    """The plan of an encoder; fails here where the encoder lacks something, such as its weights."""
    catalogue = config.catalogue_path(settings)
    trained = str(config.encoders_path(settings))
    setup = Setup(vector_width=content.vector_width(catalogue), trained_folder=trained)
    encoder = registry.load(name, setup)
    root = config.vectors_path(settings)
    take_over(root)
    table = VectorTable(root, f"{name}/{encoder.version}")
    content_hashes = content.read_hashes(catalogue, encoder.modality)
    encoded = table.encoded()
    todo = [
        work_key(item_id, content_hash)
        for item_id, content_hash in content_hashes.items()
        if content_hash is not None and encoded.get(item_id) != content_hash
    ]
    todo_N = np.sort(np.array(todo, dtype=np.int64))
    return Plan(name, encoder.modality, setup, table, content_hashes, todo_N)


def work_key(item_id: str, content_hash: int) -> int:
    """One number for an item with one content; as an array, Ray's processes share them."""
    return key(item_id) ^ content_hash


def encode(plan: Plan, settings: config.Settings, console: Console) -> None:
    """Carries out the plan and shows its progress; rows are kept every few seconds."""
    kept: list[pa.Table] = []
    kept_s = 0.0  # what comes first is kept at once

    def keep() -> None:
        if kept:
            plan.table.append(pa.concat_tables(kept))
            kept.clear()

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        task = progress.add_task(plan.table.name, total=len(plan.todo_N))
        try:
            for rows in _encoded_rows(plan, settings) if len(plan.todo_N) else ():
                kept.append(rows)
                progress.advance(task, len(rows))
                if time.monotonic() - kept_s >= KEEP_EVERY_S:
                    keep()
                    kept_s = time.monotonic()
        finally:
            keep()
    plan.table.finish(plan.content_hashes)


def report(plan: Plan, console: Console, duration_s: float) -> None:
    """Prints the number of items by outcome, and names those that could not be read."""
    rows = plan.table.read().select(["item_id", "problem"]).drop_null()
    for item_id, problem in islice(columnar.rows(rows), SHOWN_PROBLEMS):
        console.print(f"item {item_id!r}: {plan.modality}: {problem}", markup=False)
    if len(rows) > SHOWN_PROBLEMS:
        console.print(f"and {len(rows) - SHOWN_PROBLEMS} more, all in {plan.table.folder}")
    given = [value for value in plan.content_hashes.values() if value is not None]
    console.print(
        f"{plan.table.name}: {len(plan.content_hashes):,} items, "
        f"{len(plan.todo_N):,} encoded now in {duration_s:.1f} s, "
        f"{len(given) - len(plan.todo_N):,} before, "
        f"{len(plan.content_hashes) - len(given):,} without {plan.modality}, "
        f"{len(rows):,} unreadable",
        highlight=False,
    )


def _encoded_rows(plan: Plan, settings: config.Settings) -> Iterator[pa.Table]:
    """Rows of the vector table, as the actors finish them."""
    hash_column = f"{plan.modality}_hash"
    resources = ray.cluster_resources()
    num_gpus = int(resources.get("GPU", 0))
    todo = ray.put(plan.todo_N)

    def only_todo(rows: pa.Table) -> pa.Table:
        rows = rows.filter(rows[hash_column].is_valid())
        pairs = columnar.rows(rows.select(["item_id", hash_column]))
        keys = np.array([work_key(*pair) for pair in pairs], dtype=np.int64)
        return rows.filter(pa.array(np.isin(keys, ray.get(todo))))

    dataset = (
        ray.data.read_parquet(
            str(config.catalogue_path(settings) / content.CONTENT_FILE),
            num_cpus=0,  # or the actors, which have all cores, would wait for it for ever
        )
        .select_columns(["item_id", hash_column, *content.columns(plan.modality)])
        .map_batches(only_todo, batch_format="pyarrow", num_cpus=0)
        .repartition(target_num_rows_per_block=ROWS_PER_TASK)
        .map_batches(
            EncodeRows,
            batch_format="pyarrow",
            batch_size=ROWS_PER_TASK,
            fn_constructor_args=(plan.encoder, plan.setup),
            compute=ActorPoolStrategy(min_size=1, max_size=num_gpus or int(resources["CPU"])),
            num_cpus=0 if num_gpus else 1,
            num_gpus=1 if num_gpus else 0,
        )
    )
    for batch in dataset.iter_batches(batch_size=None, batch_format="pyarrow"):
        yield batch.cast(SCHEMA)


def run(names: Sequence[str], settings: config.Settings) -> None:
    """Encode the catalogue with each of these encoders, then put the vectors into the online store.

    Of two encoders of one modality, the online store gets the vectors of the last one.
    """
    console = Console(stderr=True, soft_wrap=True)
    plans = [make_plan(name, settings) for name in names]
    if any(len(plan.todo_N) for plan in plans):
        wait_for_own_ray()
        ray.init(**config.ray_options(BACKGROUND))
        DataContext.get_current().enable_progress_bars = False  # ours says what is left to do
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # its own handler aborts the process
    for plan in plans:
        started_s = time.monotonic()
        encode(plan, settings, console)
        report(plan, console, time.monotonic() - started_s)
    online = {plan.modality: plan.table for plan in plans}
    from headrace.offline import materialize  # Feast takes seconds: not in every actor

    for modality, table in online.items():
        materialize.write_vectors(settings, modality, table, now_ms())
    materialize.apply(settings)
    views = [vector_view_name(modality) for modality in online]
    materialize.materialize(settings, now_ms(), views=views)


def main() -> int:
    """`headrace encode`: the encoders are the arguments."""
    try:
        run(sys.argv[1:], config.load())
    except HeadraceError as error:
        print(f"headrace encode: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
