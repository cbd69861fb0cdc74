"""What several commands share: the flags that name a dataset, and the check of the servers."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from headrace import config
from headrace.datasets.dataset import Dataset
from headrace.datasets.registry import LOADERS, detect, load_dataset


@dataclass(frozen=True, slots=True)
class Period:
    """Event times from `from_ms` up to, not including, `to_ms`; None is open."""

    from_ms: int | None = None
    to_ms: int | None = None


def load_data(options: argparse.Namespace) -> Dataset:
    """The dataset that --data and --dataset name; MovieLens-100K by default."""
    dataset = load_dataset(dataset_name(options), options.data)
    for row in dataset.bad_rows[:20]:
        print(f"{row.file}:{row.line}: {row.column}: {row.reason}", file=sys.stderr)
    if dataset.bad_rows:
        print(f"{len(dataset.bad_rows)} bad rows were left out", file=sys.stderr)
    return dataset


def dataset_name(options: argparse.Namespace) -> str:
    """The dataset that the flags name, or that the folder holds."""
    folder: Path | None = options.data
    return options.dataset or (detect(folder) if folder else "movielens")


def add_data_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that name a dataset."""
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="a folder with a log")
    parser.add_argument("--dataset", help=f"kind of log: {', '.join(LOADERS)}")


def data_arguments(options: argparse.Namespace) -> tuple[str, ...]:
    """The flags that make another command load the same dataset."""
    folder = () if options.data is None else (f"--data={options.data.resolve()}",)
    return (*folder, f"--dataset={dataset_name(options)}")


def add_period_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that name a period; they are one option, `period`."""
    parser.set_defaults(period=Period())
    for flag, help_text in (("--from", "the first event time"), ("--to", "the end, not included")):
        parser.add_argument(
            flag, action=_PeriodFlag, type=_time_ms, metavar="TIME", help=f"{help_text} (ISO, UTC)"
        )


def add_backfill_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `headrace backfill`."""
    add_period_flags(parser)
    add_data_flags(parser)
    parser.add_argument(
        "--kafka", action="store_true", help="read the events topic, not the archive"
    )
    parser.add_argument(
        "--offline-only", action="store_true", help="write files only, leave the online store alone"
    )


def backfill_arguments(options: argparse.Namespace) -> tuple[str, ...]:
    """The flags that say the same to `python -m trainers.backfill`."""
    times = (("--from", options.period.from_ms), ("--to", options.period.to_ms))
    period = [f"{flag}={_iso(time_ms)}" for flag, time_ms in times if time_ms is not None]
    data = data_arguments(options) if options.data or options.dataset else ()
    switches = (("--kafka", options.kafka), ("--offline-only", options.offline_only))
    return (*period, *data, *(flag for flag, is_given in switches if is_given))


class _PeriodFlag(argparse.Action):
    def __call__(
        self,
        parser: argparse.ArgumentParser,
        options: argparse.Namespace,
        time_ms: object,
        flag: str | None = None,
    ) -> None:
        period = {"from_ms": options.period.from_ms, "to_ms": options.period.to_ms}
        options.period = Period(**{**period, f"{self.dest}_ms": time_ms})


def _time_ms(text: str) -> int:
    time = datetime.fromisoformat(text)
    return round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1_000)


_time_ms.__name__ = "time"  # what argparse calls it when it refuses a value


def _iso(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1_000, UTC).isoformat()


def check_services(settings: config.Settings) -> None:
    """Raises `ServiceError` unless Redis and the broker answer."""
    from headrace.services.kafka import check_broker
    from headrace.services.redis import check_redis

    check_redis(settings.redis_url)
    check_broker(settings.kafka_bootstrap)
