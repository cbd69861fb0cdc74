"""`headrace backfill`: feature rows of a period computed anew, or a start with the state of a log.

Ray Data runs it: a task for each partition of the events, then one for each shard of the shared
entities. What a task does is in `headrace.offline.backfill`.
"""

from __future__ import annotations

import argparse
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import ray
import ray.data

from headrace import config
from headrace.broker.topics import create_topics
from headrace.catalogue.table.shared import open_items
from headrace.clock import now_ms
from headrace.commands.flags import add_backfill_flags, load_data
from headrace.errors import HeadraceError, ServiceError
from headrace.offline.backfill import STATE, Backfill, one_at_a_time
from headrace.offline.sources import Source, TopicEvents, archived_events, write_dataset
from headrace.offline.start_state import read_start_state, require_unstarted
from headrace.paths import offline_path
from headrace.services.processes.ray_worker import BACKGROUND
from headrace.services.ray_node import wait_for_own_ray
from headrace.stream.step.intake import IntakeRules
from headrace.stream.step.partition import PartitionSettings

REPORT_EVERY_S = 2.0


class Progress:
    """How many events each partition's task has taken in."""

    def __init__(self) -> None:
        self._by_partition: dict[int, int] = {}

    def set(self, partition: int, num_events: int) -> None:
        self._by_partition[partition] = num_events

    def total(self) -> int:
        return sum(self._by_partition.values())


def main() -> int:
    """Run one backfill; returns the exit code: 2 after an error, which is printed in one line."""
    parser = argparse.ArgumentParser(prog="headrace backfill", description=__doc__)
    add_backfill_flags(parser)
    options, settings = parser.parse_args(), config.load()
    try:
        with one_at_a_time(offline_path(settings)):
            run(options, settings)
    except HeadraceError as error:
        print(f"headrace backfill: {error}", file=sys.stderr)
        return 2
    return 0


def run(options: argparse.Namespace, settings: config.Settings) -> None:
    """Compute, put the files into place, and let the namespace start with a dataset's state."""
    open_items(config.catalogue_path(settings))  # a missing catalogue is said here, in one line
    offline, number = offline_path(settings), now_ms()
    is_dataset = bool(options.data or options.dataset)
    starts = is_dataset and not options.offline_only
    if starts or not is_dataset and options.kafka:
        create_topics(settings)  # refuses topics of another number of partitions
    source: Source
    if is_dataset:
        dataset = load_data(options)
        if starts:
            require_unstarted(settings, f"{dataset.num_events} events of {dataset.name}")
        print(f"reading {dataset.num_events:,} events of {dataset.name}", flush=True)
        events = offline / f".backfill-{number}" / "events"
        source = write_dataset(dataset, events, settings.stream.num_partitions)
    else:
        source = TopicEvents(settings) if options.kafka else archived_events(settings)
    backfill = Backfill(
        source=source,
        offline=offline,
        catalogue=config.catalogue_path(settings),
        rules=PartitionSettings.of(settings, every_event=True),
        period=options.period,
        run=number,
        num_shards=settings.stream.num_partitions,
        intake=IntakeRules.of(settings),
        now_ms=number,
    )
    try:
        compute(backfill)
        print(f"{backfill.publish():,} feature rows written to {offline}", flush=True)
        if starts:
            start(backfill, settings)
    finally:
        backfill.clear()


def start(backfill: Backfill, settings: config.Settings) -> None:
    """Let the namespace begin with the state that a backfill ended with."""
    from headrace.offline.start import publish_start_state  # Feast takes seconds

    num_rows = publish_start_state(backfill.scratch / STATE, settings)
    told = ", ".join(f"{num:,} {entity}" for entity, num in num_rows.items())
    print(f"{settings.namespace} starts with rows by kind: {told}", flush=True)


def compute(backfill: Backfill) -> None:
    """Both steps of a backfill, on the cluster that RAY_ADDRESS names or on this machine."""
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="ray.data.context")  # about its own attributes
    wait_for_own_ray()
    ray.init(**config.ray_options(BACKGROUND))
    ray.data.DataContext.get_current().enable_progress_bars = False
    progress: Any = ray.remote(num_cpus=0)(Progress).remote()

    def replay(partition: int) -> None:
        for num_events in backfill.replay(partition):
            progress.set.remote(partition, num_events)

    done = threading.Event()
    reporter = threading.Thread(target=_report, args=(progress, backfill.source, done))
    reporter.start()
    try:
        backfill.start_from(read_start_state(backfill.offline))
        _on_each(backfill.source.partitions(), replay)
        _on_each(range(backfill.num_shards), backfill.merge)
    except ray.exceptions.RayError as error:
        raise ServiceError(str(error).strip().splitlines()[-1]) from error
    finally:
        done.set()
        reporter.join()
        ray.shutdown()


def _on_each(numbers: Sequence[int], work: Callable[[int], None]) -> None:
    """Do this for each number, each in a task of its own."""

    def of_row(row: dict[str, int]) -> dict[str, int]:
        work(row["number"])
        return row

    rows = [{"number": number} for number in numbers]
    ray.data.from_items(rows, override_num_blocks=len(rows)).map(of_row).materialize()


def _report(progress: Any, source: Source, done: threading.Event) -> None:
    of = source.num_events()
    reported = -1
    while not done.wait(REPORT_EVERY_S):
        total = ray.get(progress.total.remote())
        if total != reported:
            print(f"{total:,} events" if of is None else f"{total:,} of {of:,} events", flush=True)
        reported = total


if __name__ == "__main__":
    sys.exit(main())
