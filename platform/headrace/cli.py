"""`headrace`: the command line. Each command is one part of the platform; `up` runs them all.

The rooms above the core are run as modules (`headrace.rooms`), never imported from here.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headrace import __version__, config
from headrace.catalogue.table.shared import open_items
from headrace.clock import now_ms
from headrace.commands.application import take_application
from headrace.commands.check import add_check
from headrace.commands.compare_fusion import add_compare_fusion
from headrace.commands.dead_letters import add_dead_letters
from headrace.commands.evaluate import add_evaluate
from headrace.commands.features import add_feast, add_features
from headrace.commands.flags import (
    ENCODERS,
    add_app_flag,
    add_backfill_flags,
    add_data_flags,
    add_encoder_flag,
    add_explain_flags,
    add_pace_flags,
    add_ranker_flags,
    add_up_flags,
    add_vectors_flag,
    backfill_arguments,
    check_redis_keeps,
    check_services,
    data_arguments,
    explain_arguments,
    load_data,
    require_folder,
    speed,
)
from headrace.commands.init import add_init
from headrace.commands.keys import add_keys
from headrace.commands.room import Command, add_train_encoders, module_command, run_module
from headrace.commands.running import add_platform_flag, settings_with_flags
from headrace.commands.status import add_status
from headrace.documents.exchange import export_file, import_file
from headrace.documents.feed import materialize_files
from headrace.encoders import registry as encoders
from headrace.errors import HeadraceError
from headrace.services.processes.priority import yield_to_requests
from headrace.settings.text import require_home

Commands = Any  # what `add_subparsers` returns; argparse has no public name for it


def build_parser() -> argparse.ArgumentParser:
    """The parser of every command and flag."""
    parser = argparse.ArgumentParser(
        prog="headrace",
        description="Real-time recommendation and ads: streaming features, an online-learned "
        "ranker, serving. Settings come from HEADRACE_* variables, REDIS_URL and KAFKA_BOOTSTRAP; "
        "where these name no platform, commands look at the headrace up that runs here.",
    )
    parser.add_argument("--version", action="version", version=f"headrace {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    add_init(commands)
    add_check(commands)
    _add_up(commands)
    add_status(commands)
    _add_parts(commands)
    _add_data_commands(commands)
    _add_exchange(commands)
    add_feast(commands)
    add_evaluate(commands)
    add_compare_fusion(commands)
    add_train_encoders(commands)
    add_features(commands)
    add_dead_letters(commands)
    add_keys(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command: its exit code, or 2 for an error, which is printed in one line."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = build_parser().parse_args(arguments)
    command: Command = options.run
    try:
        take_application(options, arguments)
        settings = settings_with_flags(options)
        if getattr(options, "writes_home", False):
            require_home(settings.home_path)
        code = command(options, settings)
        sys.stdout.flush()
        return code
    except HeadraceError as error:
        print(f"headrace {options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read what it prints has ended, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _add_up(commands: Commands) -> None:
    up = commands.add_parser("up", help="run the whole platform here and replay a log as traffic")
    add_up_flags(up)
    up.set_defaults(run=_up)


def _add_parts(commands: Commands) -> None:
    stream = commands.add_parser("stream", help="run the stream workers")
    add_app_flag(stream)
    stream.set_defaults(run=_stream)
    train = commands.add_parser("train", help="train continuously and publish model versions")
    add_app_flag(train)
    add_vectors_flag(train)
    add_ranker_flags(train)
    online = module_command("trainers.job")
    train.set_defaults(run=online, writes_home=True)
    serve = commands.add_parser("serve", help="answer HTTP requests")
    add_app_flag(serve)
    add_vectors_flag(serve)
    serve.set_defaults(run=module_command("serving"))
    explain = commands.add_parser("explain", help="say why items get their scores for a user")
    add_explain_flags(explain)
    add_vectors_flag(explain)
    add_platform_flag(explain)
    explain.set_defaults(run=module_command("serving.explain", explain_arguments))
    archive = commands.add_parser("archive", help="write what the topics carry to Parquet files")
    add_platform_flag(archive)
    archive.set_defaults(run=_archive, writes_home=True)


def _add_data_commands(commands: Commands) -> None:
    replay = commands.add_parser("replay", help="send a log to Kafka as live traffic")
    add_data_flags(replay)
    add_pace_flags(replay)
    add_platform_flag(replay)
    replay.set_defaults(run=_replay)

    materialize = commands.add_parser(
        "materialize", help="put static features into the online store (Feast)"
    )
    add_data_flags(materialize)
    materialize.add_argument(
        "--incremental", action="store_true", help="only what is new since the last time"
    )
    add_platform_flag(materialize)
    materialize.set_defaults(run=_materialize, writes_home=True)

    backfill = commands.add_parser(
        "backfill", help="compute feature rows of a period anew, or start with the state of a log"
    )
    add_backfill_flags(backfill)
    add_platform_flag(backfill)
    compute = module_command("trainers.backfill", backfill_arguments)
    backfill.set_defaults(run=compute, writes_home=True)

    _add_encode(commands)


def _add_encode(commands: Commands) -> None:
    encode = commands.add_parser("encode", help="turn the items' content into vectors")
    add_data_flags(encode)
    add_encoder_flag(encode)
    follows = "encode items as they arrive, for the tables that --vectors names"
    encode.add_argument("--follow", action="store_true", help=follows)
    add_vectors_flag(encode)
    add_platform_flag(encode)
    encode.set_defaults(run=_encode, writes_home=True)


def _add_exchange(commands: Commands) -> None:
    for kind in ("items", "users"):
        exchanged = commands.add_parser(kind, help=f"{kind} as lines of JSON, in or out")
        exchanged.add_argument("action", choices=("import", "export"))
        exchanged.add_argument("file", metavar="FILE", help="a document a line; - is a terminal's")
        add_platform_flag(exchanged)
        exchanged.set_defaults(run=_exchange)


def _up(options: argparse.Namespace, settings: config.Settings) -> int:
    from headrace.up.options import UpOptions
    from headrace.up.run import run

    events_per_s = speed(options)
    require_folder("--report", options.report)
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
    open_items(config.catalogue_path(settings))  # a missing catalogue is said here, in one line
    yield_to_requests()
    config.keep_own_ray_local()
    from headrace.monitoring.metrics_server import serve_metrics
    from headrace.stream.job import run  # Ray reads its environment when it is imported

    with serve_metrics(settings, now_ms):
        run(settings)
    return 0


def _archive(options: argparse.Namespace, settings: config.Settings) -> int:
    check_services(settings)
    yield_to_requests()
    from headrace.offline.archive import run

    run(settings)
    return 0


def _replay(options: argparse.Namespace, settings: config.Settings) -> int:
    from headrace.datasets.replay import Pace, default_pace, replay

    given_rate = speed(options)
    check_services(settings)
    dataset = load_data(options)
    rate = given_rate or default_pace(dataset).events_per_s
    done = replay(dataset, settings, Pace(rate, not options.keep_time), now_ms)
    print(f"replayed {done.num_events} events of {dataset.name} in {done.duration_s:.1f} s")
    if done.num_ahead:
        print(f"{done.num_ahead} of them had times ahead of their sending, which counts instead")
    return 0


def _materialize(options: argparse.Namespace, settings: config.Settings) -> int:
    check_redis_keeps(settings)
    from headrace.offline import materialize  # Feast takes seconds: after the check

    yield_to_requests()
    if options.data or options.dataset or not _has_catalogue(settings):
        print(materialize_files(settings, load_data(options), now_ms()))
    materialize.apply(settings)
    materialize.materialize(settings, now_ms(), getattr(options, "incremental", False))
    return 0


def _exchange(options: argparse.Namespace, settings: config.Settings) -> int:
    moved = import_file if options.action == "import" else export_file
    print(f"{moved(settings, options.command, options.file):,} {options.command}", file=sys.stderr)
    return 0


def _encode(options: argparse.Namespace, settings: config.Settings) -> int:
    if options.follow:
        return run_module("trainers.arrivals", settings)
    names: Sequence[str] = options.encoder or ENCODERS
    for name in names:
        encoders.check(name)
    if options.data or options.dataset or not _has_catalogue(settings):
        _materialize(options, settings)
    else:
        check_redis_keeps(settings)
    return run_module("trainers.encode", settings, names)


def _has_catalogue(settings: config.Settings) -> bool:
    return (config.catalogue_path(settings) / "items.parquet").exists()


if __name__ == "__main__":
    sys.exit(main())
