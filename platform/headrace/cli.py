"""`headrace`: the command line. Each command is one part of the platform; `up` runs them all.

The rooms above the core are started as modules (`python -m serving`), never imported from here.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from headrace import __version__, config
from headrace.clock import now_ms
from headrace.datasets.catalogue import read_items
from headrace.errors import ConfigError, HeadraceError
from headrace.flags import (
    add_backfill_flags,
    add_data_flags,
    add_period_flags,
    backfill_arguments,
    check_services,
    data_arguments,
    load_data,
)

Command = Callable[[argparse.Namespace, config.Settings], int]
Arguments = Callable[[argparse.Namespace], Sequence[str]]
Commands = Any  # what `add_subparsers` returns; argparse has no public name for it


def build_parser() -> argparse.ArgumentParser:
    """The parser of every command and flag."""
    parser = argparse.ArgumentParser(
        prog="headrace",
        description="Real-time recommendation and ads: streaming features, an online-learned "
        "ranker, serving. Settings come from HEADRACE_* variables, REDIS_URL and KAFKA_BOOTSTRAP.",
    )
    parser.add_argument("--version", action="version", version=f"headrace {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    _add_up(commands)
    _add_parts(commands)
    _add_data_commands(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; what is wrong is said in one line, and the exit code is 2."""
    options = build_parser().parse_args(arguments)
    command: Command = options.run
    try:
        return command(options, config.load())
    except HeadraceError as error:
        print(f"headrace {options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _add_up(commands: Commands) -> None:
    up = commands.add_parser("up", help="run the whole platform here and replay a log as traffic")
    add_data_flags(up)
    _add_pace_flags(up)
    up.add_argument("--once", action="store_true", help="end when the log was processed")
    up.add_argument("--report", type=Path, metavar="FILE", help="write the summary as JSON")
    up.add_argument("--host", help="interface for HTTP (default 127.0.0.1)")
    up.add_argument("--port", type=int, help="port for HTTP (default 8000)")
    up.add_argument("--campaigns", help="YAML file of ad campaigns")
    up.add_argument("--requests-per-s", type=float, default=4.0, help="background load of requests")
    up.add_argument("--namespace", help="prefix of topics and keys (default: a new one)")
    up.add_argument("--archive", action="store_true", help="also run `headrace archive`")
    up.set_defaults(run=_up)


def _add_parts(commands: Commands) -> None:
    stream = commands.add_parser("stream", help="run the stream workers")
    stream.set_defaults(run=_stream)
    train = commands.add_parser("train", help="train continuously and publish model versions")
    train.set_defaults(run=_module("trainers.online"))
    serve = commands.add_parser("serve", help="answer HTTP requests")
    serve.set_defaults(run=_module("serving"))
    archive = commands.add_parser("archive", help="write what the topics carry to Parquet files")
    archive.set_defaults(run=_archive)


def _add_data_commands(commands: Commands) -> None:
    replay = commands.add_parser("replay", help="send a log to Kafka as live traffic")
    add_data_flags(replay)
    _add_pace_flags(replay)
    replay.set_defaults(run=_replay)

    materialize = commands.add_parser(
        "materialize", help="put static features into the online store (Feast)"
    )
    add_data_flags(materialize)
    materialize.add_argument(
        "--incremental", action="store_true", help="only what is new since the last time"
    )
    materialize.set_defaults(run=_materialize)

    backfill = commands.add_parser(
        "backfill", help="compute feature rows of a period anew, or start with the state of a log"
    )
    add_backfill_flags(backfill)
    backfill.set_defaults(run=_module("trainers.backfill", backfill_arguments))

    features = commands.add_parser("features", help="look into the features")
    of_features = features.add_subparsers(dest="features_command", required=True, metavar="WHAT")
    parity = of_features.add_parser(
        "parity", help="compare archived and online features with a replay of the archived events"
    )
    add_period_flags(parity)
    parity.add_argument("--json", type=Path, metavar="FILE", help="write the result as JSON")
    parity.set_defaults(run=_parity)


def _add_pace_flags(parser: argparse.ArgumentParser) -> None:
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


def _speed(options: argparse.Namespace) -> float | None:
    """What --speed says, None where it was not given."""
    speed: float | None = options.speed
    if speed is not None and not speed > 0:
        raise ConfigError(f"--speed {speed:g}: expected more than 0 events per second")
    return speed


def _up(options: argparse.Namespace, settings: config.Settings) -> int:
    from headrace.up.loop import run
    from headrace.up.options import UpOptions

    events_per_s = _speed(options)
    if options.report and not options.report.absolute().parent.is_dir():
        raise ConfigError(f"--report {options.report}: there is no folder {options.report.parent}")
    campaigns = options.campaigns or settings.campaigns
    changes = {
        "host": options.host,
        "port": options.port,
        # The parts run in another folder.
        "campaigns": str(Path(campaigns).resolve()) if campaigns else None,
    }
    given = {name: value for name, value in changes.items() if value is not None}
    settings = config.changed(settings, **given)
    up = UpOptions(
        dataset=load_data(options),
        data_arguments=data_arguments(options),
        events_per_s=events_per_s,
        shift_to_now=not options.keep_time,
        once=options.once,
        report=options.report,
        requests_per_s=options.requests_per_s,
        namespace=options.namespace,
        archive=options.archive,
    )
    return run(up, settings)


def _stream(options: argparse.Namespace, settings: config.Settings) -> int:
    check_services(settings)
    read_items(config.catalogue_path(settings))  # a missing catalogue is said here, in one line
    config.keep_own_ray_local()
    from headrace.stream.job import run  # Ray reads its environment when it is imported

    run(settings)
    return 0


def _archive(options: argparse.Namespace, settings: config.Settings) -> int:
    check_services(settings)
    from headrace.offline.archive import run

    run(settings)
    return 0


def _parity(options: argparse.Namespace, settings: config.Settings) -> int:
    from headrace.offline.parity_check import run

    return run(settings, options.period, options.json)


def _replay(options: argparse.Namespace, settings: config.Settings) -> int:
    from headrace.replay import Pace, default_pace, replay

    given_rate = _speed(options)
    check_services(settings)
    dataset = load_data(options)
    rate = given_rate or default_pace(dataset).events_per_s
    done = replay(dataset, settings, Pace(rate, not options.keep_time), now_ms)
    print(f"replayed {done.num_events} events of {dataset.name} in {done.duration_s:.1f} s")
    return 0


def _materialize(options: argparse.Namespace, settings: config.Settings) -> int:
    from headrace.services.redis import check_redis

    check_redis(settings.redis_url)
    from headrace import materialize  # Feast takes seconds: after the check

    if options.data or options.dataset or not _has_catalogue(settings):
        materialize.write_sources(load_data(options), settings, now_ms())
    materialize.apply(settings)
    materialize.materialize(settings, now_ms(), options.incremental)
    return 0


def _has_catalogue(settings: config.Settings) -> bool:
    return (config.catalogue_path(settings) / "items.parquet").exists()


def _module(name: str, arguments: Arguments = lambda options: ()) -> Command:
    """A command of a room above the core: this process becomes `python -m name`."""

    def become(options: argparse.Namespace, settings: config.Settings) -> NoReturn:
        check_services(settings)
        config.export(settings)
        config.keep_own_ray_local()
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, "-m", name, *arguments(options)])

    return become


if __name__ == "__main__":
    sys.exit(main())
