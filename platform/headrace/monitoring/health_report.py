"""The report on the features' health: tables for people, a document for programs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import msgspec
from rich.markup import escape
from rich.table import Table

from headrace.features.checks.drift import LARGE_SHIFT, SMALL_SHIFT
from headrace.monitoring.health import FeatureHealth, Health, ViewHealth
from headrace.monitoring.quality_table import choices_table, quality_table
from headrace.skipped import shortened


def to_tables(health: Health) -> Iterator[Table]:
    """One table of the views, one of the numbers of each that was written lately, one of the events
    that were not taken as they came, and those of the model's quality, where there is any."""
    lag, workers = sum(health.lags.values()), len(health.lags)
    table = Table(
        "view",
        title=f"{workers} stream workers, lag {lag:,} events",
        caption="\n".join(_notes(health)),
    )
    for heading in ("rows", "in 10 min", "expired", "stale", "p50", "p99"):
        table.add_column(heading, justify="right")
    for view in health.views:
        table.add_row(view.name, *_cells(view))
    yield table
    yield _redis(health)
    if health.skipped:
        yield _skipped(health)
    for view in health.views:
        if view.num_window:
            yield _features(view)
    if health.num_ahead or health.num_unsigned:
        yield _corrected(health)
    if health.quality:
        yield quality_table(msgspec.to_builtins(health.quality))
    if health.choices:
        yield choices_table(msgspec.to_builtins(health.choices))


def _notes(health: Health) -> Iterator[str]:
    yield "p50, p99: from the arrival of an event to its row being readable"
    if health.num_lost:
        yield f"{health.num_lost:,} events were gone from the log before they were read"
    if health.num_misplaced:
        yield (
            f"{health.num_misplaced:,} events lie where their users do not belong, first: "
            f"{health.first_misplaced}; see docs/topics.md"
        )


def to_document(health: Health) -> dict[str, Any]:
    """The same as JSON, null for an unknown value."""
    return {
        "num_workers": len(health.lags),
        "lag": sum(health.lags.values()),
        "events": {
            "late": health.num_late,
            "ahead": health.num_ahead,
            "unsigned": health.num_unsigned,
        },
        "corrected": health.corrected,
        "lost_events": health.num_lost,
        "misplaced_events": health.num_misplaced,
        "first_misplaced": health.first_misplaced,
        "skipped": [
            {"part": part, **msgspec.structs.asdict(kind)} for part, kind in health.skipped
        ],
        "lost_rows": health.lost_rows,
        "quality": msgspec.to_builtins(health.quality),
        "choices": msgspec.to_builtins(health.choices),
        "redis": msgspec.to_builtins(health.stores),
        "views": {view.name: _document(view) for view in health.views},
    }


def _cells(view: ViewHealth) -> list[str]:
    p50_ms, p99_ms = (view.latency.percentile(share) for share in (0.5, 0.99))
    return [
        f"{view.num_rows:,}",
        f"{view.num_window:,}",
        f"{view.num_expired:,}",
        _text(view.staleness_s, "{:,.1f} s"),
        _text(p50_ms, "{:,.0f} ms"),
        _text(p99_ms, "{:,.0f} ms"),
    ]


def _corrected(health: Health) -> Table:
    table = Table("events", title="not taken as they came")
    table.add_column("number", justify="right")
    table.add_column("the first that a worker met since its start", overflow="fold")
    for kind, number in (("ahead", health.num_ahead), ("unsigned", health.num_unsigned)):
        table.add_row(kind, f"{number:,}", health.corrected.get(kind, "-"))
    return table


def _skipped(health: Health) -> Table:
    table = Table("part", "source", "reason", title="skipped messages, by the parts that run")
    table.add_column("count", justify="right")
    table.add_column("the first", overflow="fold")
    for part, kind in health.skipped:
        texts = map(shortened, (part, kind.source, kind.reason, f"{kind.count:,}", kind.first))
        table.add_row(*map(escape, texts))
    return table


def _redis(health: Health) -> Table:
    table = Table(
        "Redis", "policy", caption=f"{health.lost_rows:,} users' rows were written and are gone"
    )
    for heading in ("memory used", "of", "evicted keys"):
        table.add_column(heading, justify="right")
    table.add_column("persists")
    for store in health.stores:
        table.add_row(
            store.address,
            store.policy or "-",
            f"{store.used_memory / 1e6:,.1f} MB",
            f"{store.max_memory / 1e6:,.1f} MB" if store.max_memory else "no limit",
            f"{store.evicted_keys:,}",
            {True: "yes", False: "no", None: "-"}[store.persists],
        )
    return table


def _features(view: ViewHealth) -> Table:
    table = Table(view.name)
    for heading in ("mean", "null", "PSI"):
        table.add_column(heading, justify="right")
    table.add_column("drift")
    for feature in view.features:
        table.add_row(
            feature.name,
            _text(feature.mean, "{:.4g}"),
            _text(feature.null_rate, "{:.2%}"),
            _text(feature.psi, "{:.3f}"),
            _drift(feature),
        )
    return table


def _drift(feature: FeatureHealth) -> str:
    if math.isnan(feature.psi):
        return "not known yet"
    if feature.psi < SMALL_SHIFT:
        return ""
    return "small" if feature.psi < LARGE_SHIFT else "large"


def _document(view: ViewHealth) -> dict[str, Any]:
    return {
        "num_rows": view.num_rows,
        "num_window": view.num_window,
        "num_expired": view.num_expired,
        "staleness_s": _known(view.staleness_s),
        "latency_p50_ms": _known(view.latency.percentile(0.5)),
        "latency_p99_ms": _known(view.latency.percentile(0.99)),
        "features": {
            feature.name: {
                "mean": _known(feature.mean),
                "null_rate": _known(feature.null_rate),
                "psi": _known(feature.psi),
            }
            for feature in view.features
        },
    }


def _text(number: float, form: str) -> str:
    return "-" if math.isnan(number) else form.format(number)


def _known(number: float) -> float | None:
    return None if math.isnan(number) else number
