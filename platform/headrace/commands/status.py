"""`headrace status`: parts, health, versions, lags and addresses of the platform that runs here."""

from __future__ import annotations

import argparse
import json
import shlex
from typing import TYPE_CHECKING, Any

from msgspec import to_builtins

from headrace import config
from headrace.api.front import Front
from headrace.clock import now_ms
from headrace.commands.running import add_platform_flag
from headrace.errors import ConfigError
from headrace.settings.variables import variable
from headrace.up.home import MIN_BYTES, free_bytes, full_disk
from headrace.up.run_file import PartState, RunFile
from headrace.up.supervision.health import probe

if TYPE_CHECKING:
    from headrace.up.display.totals import Totals


def add_status(commands: Any) -> None:
    """Add `status` to the command line."""
    status = commands.add_parser("status", help="how the running platform is: parts, health, lags")
    form = status.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="for programs")
    form.add_argument(
        "--env",
        action="store_true",
        help='its settings as shell variables, passwords included: eval "$(headrace status --env)"',
    )
    add_platform_flag(status)
    status.set_defaults(run=_status)


def _status(options: argparse.Namespace, settings: config.Settings) -> int:
    """0 when all parts are well, 1 when one is not."""
    run: RunFile | None = options.run_file
    if options.env:
        for name, text in config.environment(settings).items():
            print(f"export {name}={shlex.quote(text)}")
        return 0
    if run is None and not any(map(config.is_given, ("redis_url", "namespace"))):
        home = variable("home")
        elsewhere = f" with {home}={settings.home_path}" if config.is_given("home") else ""
        raise ConfigError(
            f"no platform of this user runs here{elsewhere}: start one with `headrace up`, or say "
            f"where one is with REDIS_URL, KAFKA_BOOTSTRAP, {home} and HEADRACE_NAMESPACE"
        )
    document = status_document(settings, run)
    if options.json:
        print(json.dumps(document, indent=2))
    else:
        _show(document)
    return 0 if document["healthy"] else 1


def status_document(settings: config.Settings, run: RunFile | None) -> dict[str, Any]:
    """The status of a platform: from `headrace up`, from HTTP and from the parts' reports."""
    health = probe(Front(settings.http), settings.namespace)
    totals, ages, redis_problem = _observed(settings)
    parts = [_part(state, ages) for state in run.parts] if run else _reported(ages)
    problems = [redis_problem] if redis_problem else []
    problems += _disk_problems(settings) if run else []
    problems += [] if health.is_ok else [f"http: {health.said}"]
    problems += [f"{part['name']}: {part['said']}" for part in parts if part["said"]]
    return {
        "platform": run.id if run else settings.namespace,
        "namespace": settings.namespace,
        "home": str(settings.home_path),
        "since_ms": run.started_ms if run else None,
        "healthy": not problems,
        "problems": problems + (list(totals.errors) if totals else []),
        "addresses": run.addresses() if run else _configured(settings),
        "parts": parts,
        "http": {"ok": health.is_ok, **health.answer},
        "versions": _versions(totals),
        "quality": to_builtins(totals.quality) if totals else {},
        "choices": to_builtins(totals.choices) if totals else None,
        "lags": _lags(totals),
        "encoding": _encoding(totals),
    }


def _observed(settings: config.Settings) -> tuple[Totals | None, dict[str, int], str]:
    """The totals of the parts, the age of each part's report in ms, and why there is none."""
    from redis import RedisError

    from headrace.monitoring.documents import PARTS
    from headrace.services.redis import masked
    from headrace.up.display.totals import Observer

    now = now_ms()
    observer = Observer(settings)
    try:
        times = {form.part: observer.reported_ms(form.part) for form in PARTS}
        ages = {name: now - time for name, time in times.items() if time is not None}
        return observer.totals(now), ages, ""
    except (RedisError, OSError) as error:
        return None, {}, f"Redis does not answer at {masked(settings.redis_url)}: {error}"
    finally:
        observer.close()


def _disk_problems(settings: config.Settings) -> list[str]:
    free = free_bytes(settings.home_path)
    return [full_disk(settings.home_path, free)] if free < MIN_BYTES else []


def _part(state: PartState, ages: dict[str, int]) -> dict[str, Any]:
    said = state.said or ("" if state.is_running else "does not run")
    return {**to_builtins(state), "said": said, "report_age_ms": ages.get(state.name)}


def _reported(ages: dict[str, int]) -> list[dict[str, Any]]:
    """The parts of a platform that nothing but their reports is known of."""
    return [
        {"name": name, "pid": None, "is_running": None, "restarts": None, "said": "",
         "report_age_ms": age}
        for name, age in ages.items()
    ]  # fmt: skip


def _configured(settings: config.Settings) -> dict[str, str]:
    from headrace.services.redis import masked

    return {
        "http": Front(settings.http).address,
        "redis": masked(settings.redis_url),
        "kafka": settings.kafka_bootstrap,
    }


def _versions(totals: Totals | None) -> dict[str, Any]:
    if totals is None:
        return {}
    return {
        "published": totals.num_published,
        "served": totals.model_version,
        "age_ms": totals.model_age_ms,
        "held": totals.held,
    }


def _lags(totals: Totals | None) -> dict[str, Any]:
    if totals is None:
        return {}
    return {
        "stream_events": totals.stream_lag,
        "train_samples": totals.train_lag,
        "processed_events": totals.processed,
        "skipped_messages": totals.skipped,
    }


def _encoding(totals: Totals | None) -> dict[str, Any]:
    if totals is None or totals.encoding is None:
        return {}
    told = totals.encoding
    return {
        "waiting": sum(told.waiting.values()),
        "lag_ms": told.lag_ms,
        "encoded": told.encoded,
        "failed": told.failed,
        "last_failure": told.last_failure,
    }


def _show(document: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    state = "healthy" if document["healthy"] else "NOT healthy"
    console.print(f"{document['platform']}: {state}", highlight=False, markup=False)
    table = Table(show_header=True, min_width=72)
    for heading in ("part", "process", "restarts", "report", "state"):
        table.add_column(heading)
    for part in document["parts"]:
        age = part["report_age_ms"]
        table.add_row(
            part["name"],
            "-" if part["pid"] is None else str(part["pid"]),
            "-" if part["restarts"] is None else str(part["restarts"]),
            "-" if age is None else f"{max(age, 0) / 1_000:.1f} s ago",
            part["said"] or "well",
        )
    console.print(table)
    for heading in ("addresses", "http", "versions", "lags", "encoding"):
        if not document[heading]:
            continue
        line = "  ".join(f"{name} {value}" for name, value in document[heading].items())
        console.print(f"{heading}: {line}", highlight=False, markup=False, soft_wrap=True)
    if document["quality"]:
        from headrace.monitoring.quality_table import quality_table

        console.print(quality_table(document["quality"]))
    if document["choices"]:
        from headrace.monitoring.quality_table import choices_table

        console.print(choices_table(document["choices"]))
    console.print(f"home: {document['home']}", highlight=False, markup=False, soft_wrap=True)
    for problem in document["problems"]:
        console.print(f"problem: {problem}", highlight=False, markup=False, soft_wrap=True)
