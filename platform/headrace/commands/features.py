"""`headrace features`: the features' descriptions, and their freshness, quality and parity."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headrace import config
from headrace.clock import now_ms
from headrace.commands.flags import add_period_flags
from headrace.commands.room import run_module
from headrace.commands.running import add_platform_flag
from headrace.errors import FeatureError
from headrace.rooms.folder import room_path


def add_features(commands: Any) -> None:
    """Add `features` and its own commands to the command line."""
    features = commands.add_parser("features", help="the features: list, describe, status, parity")
    actions = features.add_subparsers(dest="action", required=True, metavar="ACTION")
    listed = actions.add_parser("list", help="every feature of the table, one a line")
    listed.add_argument("--markdown", action="store_true", help="as the page docs/features.md")
    add_platform_flag(listed)
    listed.set_defaults(run=_list)
    described = actions.add_parser("describe", help="everything about one feature")
    described.add_argument("name", metavar="NAME")
    add_platform_flag(described)
    described.set_defaults(run=_describe)
    status = actions.add_parser("status", help="freshness and quality, per view and feature")
    status.add_argument("--json", action="store_true", help="for programs")
    status.add_argument(
        "--new-reference",
        action="store_true",
        help="let drift be measured against the rows that come next",
    )
    add_platform_flag(status)
    status.set_defaults(run=_status)
    parity = actions.add_parser(
        "parity", help="compare archived and online features with a replay of the archived events"
    )
    add_period_flags(parity)
    parity.add_argument("--json", type=Path, metavar="FILE", help="write the result as JSON")
    add_platform_flag(parity)
    parity.set_defaults(run=_parity)


def _parity(options: argparse.Namespace, settings: config.Settings) -> int:
    from headrace.offline.parity_check import run

    return run(settings, options.period, options.json)


def _list(options: argparse.Namespace, settings: config.Settings) -> int:
    from headrace.features.description import HEADINGS, describe, to_markdown
    from headrace.features.table import CROSSES, FEATURES

    descriptions = [describe(feature) for feature in (*FEATURES, *CROSSES)]
    if options.markdown:
        print(to_markdown(descriptions))
    else:
        print(_lines([HEADINGS, *(one.cells() for one in descriptions)]))
    return 0


def _lines(rows: Sequence[Sequence[str]]) -> str:
    """Columns of text, each as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in padded)


def _describe(options: argparse.Namespace, settings: config.Settings) -> int:
    from headrace.features.description import details
    from headrace.features.table import CROSSES, FEATURES

    features = {feature.name: feature for feature in (*FEATURES, *CROSSES)}
    if options.name not in features:
        raise FeatureError(
            f"there is no feature {options.name!r}: expected a name of `headrace features list`"
        )
    print(_lines([(f"{heading}:", text) for heading, text in details(features[options.name])]))
    return 0


def _status(options: argparse.Namespace, settings: config.Settings) -> int:
    from redis import Redis
    from rich.console import Console

    from headrace.monitoring.health import read_health
    from headrace.monitoring.health_report import to_document, to_tables
    from headrace.monitoring.monitor import ReferenceStore
    from headrace.services.redis import check_redis
    from headrace.services.redis_condition import problems_of

    check_redis(settings.redis_url)
    with Redis.from_url(settings.redis_url) as redis:
        if options.new_reference:
            ReferenceStore(redis, settings.namespace).forget()
        health = read_health(redis, settings.namespace, now_ms())
    warnings = problems_of(health.stores, settings)
    if options.json:
        print(json.dumps({**to_document(health), "warnings": warnings}, indent=2))
    else:
        for table in to_tables(health):
            Console().print(table)
        for warning in warnings:
            print(f"warning: {warning}")
    return 0


def add_feast(commands: Any) -> None:
    """Add `feast`, Feast's own commands, to the command line."""
    feast = commands.add_parser(
        "feast", help="Feast's own commands, on this repository and with these settings"
    )
    add_platform_flag(feast)
    feast.add_argument(
        "arguments", nargs=argparse.REMAINDER, help="of feast: apply, serve, ui, ..."
    )
    feast.set_defaults(run=_feast)


def _feast(options: argparse.Namespace, settings: config.Settings) -> int:
    from headrace.feast_adapter.servers import kept_on_loopback  # prepares for Feast

    arguments = kept_on_loopback(options.arguments)
    repository = room_path("feature_repo")
    arguments = ["--chdir", str(repository), *arguments]
    return run_module("headrace.feast_adapter.command", settings, arguments)
