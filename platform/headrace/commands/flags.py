"""Flags that several commands share, and the check of the servers."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, get_args

from headrace import config
from headrace.application import document
from headrace.application.current import APPLICATION
from headrace.catalogue.item import Dataset
from headrace.datasets.registry import LOADERS, detect, load_dataset
from headrace.encoders import registry as encoders
from headrace.errors import ConfigError
from headrace.event import DEFAULT_SURFACE
from headrace.events.declared import NUMBERS, fault_of
from headrace.offline.period import Period
from headrace.settings.rooms import FusionName, RankerSize

# A text encoder for every language, not the fastest one.
ENCODERS: Final = ("text_e5", "image_efficientnet", "given_vector")


def load_data(options: argparse.Namespace) -> Dataset:
    """The dataset that --data and --dataset name; MovieLens-100K by default."""
    dataset = load_dataset(dataset_name(options), data_folder(options))
    for row in dataset.bad_rows[:20]:
        print(f"{row.file}:{row.line}: {row.column}: {row.reason}", file=sys.stderr)
    if dataset.num_bad_rows:
        print(f"{dataset.num_bad_rows:,} bad rows were left out", file=sys.stderr)
    return dataset


def data_folder(options: argparse.Namespace) -> Path | None:
    """The folder that --data names; without it and --dataset that of an --app that maps columns."""
    folder: Path | None = options.data
    app: Path | None = getattr(options, "app", None)
    if folder or options.dataset or not (app and APPLICATION.mapping):
        return folder
    return document.path_of(app).parent


def dataset_name(options: argparse.Namespace) -> str:
    """The dataset that the flags name, or that the folder holds."""
    folder = data_folder(options)
    return options.dataset or (detect(folder) if folder else "movielens")


def add_app_flag(parser: argparse.ArgumentParser) -> None:
    """The flag that names the application file."""
    parser.add_argument(
        "--app",
        type=Path,
        metavar="FOLDER|FILE",
        help="the application file, or its folder (default: HEADRACE_APP, or that of --data)",
    )


def add_data_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that name a dataset."""
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="a folder with a log")
    parser.add_argument("--dataset", help=f"kind of log: {', '.join(LOADERS)}")


def data_arguments(options: argparse.Namespace) -> tuple[str, ...]:
    """The flags that make another command load the same dataset."""
    folder = data_folder(options)
    data = () if folder is None else (f"--data={folder.resolve()}",)
    return (*data, f"--dataset={dataset_name(options)}")


def add_up_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `headrace up`."""
    add_app_flag(parser)
    add_data_flags(parser)
    add_pace_flags(parser)
    add_vectors_flag(parser)
    add_ranker_flags(parser)
    parser.add_argument("--once", action="store_true", help="end when the log was processed")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the summary as JSON")
    parser.add_argument("--host", help="interface for HTTP (default 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port for HTTP (default 8000)")
    parser.add_argument("--campaigns", help="YAML file of ad campaigns")
    parser.add_argument(
        "--requests-per-s", type=float, default=4.0, help="background load of requests"
    )
    parser.add_argument("--namespace", help="prefix of topics and keys (default: a new one)")
    parser.add_argument("--archive", action="store_true", help="also run `headrace archive`")


def add_vectors_flag(parser: argparse.ArgumentParser) -> None:
    """The flag that names the vector tables that the ranker reads."""
    parser.add_argument(
        "--vectors",
        action="append",
        metavar="ENCODER/VERSION",
        help="a finished table of `headrace encode` that the ranker reads; may be repeated",
    )


def add_ranker_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that say which ranker a namespace is begun with."""
    parser.add_argument(
        "--size",
        dest="ranker_size",
        choices=get_args(RankerSize),
        help="of the ranker: nano for small machines, base for one core a replica, large for a GPU "
        "(default: HEADRACE_RANKER_SIZE, nano)",
    )
    parser.add_argument(
        "--fusion",
        choices=get_args(FusionName),
        metavar="NAME",
        help=f"of an item's modalities: {', '.join(get_args(FusionName))} (default: "
        "HEADRACE_FUSION, gated)",
    )


def add_pace_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that say how fast a log is replayed, and as of when."""
    parser.add_argument(
        "--speed",
        type=float,
        metavar="EVENTS_PER_S",
        help="events per second (default: the whole log in about three minutes)",
    )
    parser.add_argument(
        "--keep-time",
        action="store_true",
        help="keep the log's event times (default: moved, so that the log ends now)",
    )


def speed(options: argparse.Namespace) -> float | None:
    """The --speed in events/s, None where not given; raises `ConfigError` unless positive."""
    events_per_s: float | None = options.speed
    if events_per_s is not None and not events_per_s > 0:
        raise ConfigError(f"--speed {events_per_s:g}: expected more than 0 events per second")
    return events_per_s


def require_folder(flag: str, file: Path | None) -> None:
    """Raises `ConfigError` where the folder of a file to write is not there."""
    if file and not file.absolute().parent.is_dir():
        raise ConfigError(f"{flag} {file}: there is no folder {file.parent}")


def add_encoder_flag(parser: argparse.ArgumentParser) -> None:
    """The flag that names encoders."""
    parser.add_argument(
        "--encoder",
        action="append",
        metavar="NAME",
        help=f"{', '.join(encoders.names())}; may be repeated (default: {', '.join(ENCODERS)})",
    )


def add_period_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that name a period; they are one option, `period`."""
    parser.set_defaults(period=Period())
    for flag, help_text in (("--from", "the first event time"), ("--to", "the end, not included")):
        parser.add_argument(
            flag,
            action=_PeriodFlag,
            type=iso_time_ms,
            metavar="TIME",
            help=f"{help_text} (ISO, UTC)",
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


def add_explain_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `headrace explain`."""
    parser.add_argument("--user", required=True, metavar="ID", help="who asks")
    parser.add_argument(
        "--item", action="append", required=True, metavar="ID", help="a candidate; may be repeated"
    )
    parser.add_argument(
        "--surface", default=DEFAULT_SURFACE, metavar="NAME", help="where (default: %(default)s)"
    )
    parser.add_argument(
        "--context",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="what the request tells beside; may be repeated",
    )
    parser.add_argument(
        "--model-version", type=int, metavar="N", help="a published version (default: the newest)"
    )
    parser.add_argument("--json", action="store_true", help="data instead of a table")


def context_told(options: argparse.Namespace) -> dict[str, str | float]:
    """The context of the flags; raises `ConfigError` where a field is not as it is declared."""
    told: dict[str, str | float] = {}
    for given in options.context:
        name, _, value = given.partition("=")
        try:
            told[name] = float(value) if name in NUMBERS else value
        except ValueError:
            told[name] = value
    if fault := fault_of(told):
        raise ConfigError(f"--context {fault[0]}: {fault[1]}")
    return told


def explain_arguments(options: argparse.Namespace) -> tuple[str, ...]:
    """The flags that say the same to `python -m serving.explain`."""
    version = options.model_version
    return (
        f"--user={options.user}",
        *(f"--item={item_id}" for item_id in options.item),
        f"--surface={options.surface}",
        *(f"--context={given}" for given in options.context),
        *(() if version is None else (f"--model-version={version}",)),
        *(("--json",) if options.json else ()),
    )


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


def iso_time_ms(text: str) -> int:
    """An ISO time as epoch milliseconds; one without a zone is UTC."""
    time = datetime.fromisoformat(text)
    return round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1_000)


iso_time_ms.__name__ = "time"  # what argparse calls it when it refuses a value


def _iso(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1_000, UTC).isoformat()


def check_services(settings: config.Settings) -> None:
    """Raises `ServiceError` unless the broker answers, and Redis does and keeps its rows."""
    from headrace.services.kafka import check_broker

    check_redis_keeps(settings)
    check_broker(settings.kafka_bootstrap, settings.kafka)


def check_redis_keeps(settings: config.Settings) -> None:
    """Raises `ServiceError` unless Redis answers and keeps its rows, `ActionsMismatch` where those
    have other actions than this process; prints warnings."""
    from headrace.features.rows.namespace_actions import bind_actions
    from headrace.services.redis_condition import check_store

    for warning in check_store(settings):
        print(f"warning: {warning}", file=sys.stderr, flush=True)
    bind_actions(settings)
