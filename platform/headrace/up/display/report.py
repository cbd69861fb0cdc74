"""The report: the results of a run of `headrace up`, as one JSON document and as text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import to_builtins

from headrace.catalogue.item import Dataset
from headrace.config import Settings
from headrace.features.aggregation.facts import SHOWN
from headrace.features.online.store import OnlineStore
from headrace.features.table import LIFE, USER_LAYOUT
from headrace.metrics import Scores
from headrace.metrics.latency import Latencies
from headrace.monitoring.documents import Choices
from headrace.monitoring.progress import Window, merged, merged_lists
from headrace.up.display.totals import Totals
from headrace.up.load import BackgroundLoad

NUM_PARTS = 5
USERS_PER_READ = 500


def build_report(
    totals: Totals, load: BackgroundLoad, in_features: int, start_s: float, replay_s: float
) -> dict[str, Any]:
    """The summary with the keys that docs/benchmarks.md explains."""
    return {
        "events": {
            "replayed": totals.replay.sent if totals.replay else 0,
            "accepted": totals.accepted,
            "rejected": totals.rejected,
            "duplicates": totals.duplicates,
            "in_features": in_features,
            "samples": totals.samples,
        },
        "progressive": [_quality(merged(part)) for part in fifths(list(totals.windows.values()))],
        "progressive_actions": {
            head: [_quality(merged(part)) for part in fifths(list(windows.values()))]
            for head, windows in totals.action_windows.items()
            if windows
        },
        "progressive_slices": {name: to_builtins(one) for name, one in totals.quality.items()},
        "progressive_choices": [
            to_builtins(Choices.of(merged_lists(part)))
            for part in fifths(list(totals.choice_windows.values()))
        ],
        "models": {"published": totals.num_published, "served": totals.num_served},
        "freshness_ms": {
            "feature": _percentiles(totals.feature_freshness),
            "model": _percentiles(totals.model_freshness),
        },
        "requests": {
            "sent": load.sent,
            "ok": load.ok,
            "p50_ms": _rounded(load.latency.percentile(0.5)),
            "p99_ms": _rounded(load.latency.percentile(0.99)),
        },
        "elapsed_s": {"start": round(start_s, 1), "replay": round(replay_s, 1)},
    }


def fifths(windows: Sequence[Window]) -> list[Sequence[Window]]:
    """The windows in five parts of as equal length as whole windows allow."""
    ends = [round(len(windows) * part / NUM_PARTS) for part in range(NUM_PARTS + 1)]
    return [windows[start:end] for start, end in zip(ends, ends[1:], strict=False)]


def count_in_features(dataset: Dataset, settings: Settings) -> int:
    """Impressions in the users' rows of the online store: those that the stream made readable,
    counted from the store itself and not from the workers' reports."""
    store, total = OnlineStore(settings), 0.0
    user_ids = list(dict.fromkeys(event.user_id for event in dataset.events()))
    for ids in _chunks(user_ids):
        state = store.read_user_rows(ids)["state"]
        total += state[USER_LAYOUT.field_of[LIFE]][:, LIFE.measures.index(SHOWN)].sum()
    return round(total)


def to_lines(report: dict[str, Any]) -> Iterable[str]:
    """The report as the text that is printed at the end."""
    events, requests, models = report["events"], report["requests"], report["models"]
    yield "  ".join(f"{name} {count:,}" for name, count in events.items())
    drawn = [
        (n, part) for n, part in enumerate(report["progressive_choices"], 1) if part["requests"]
    ]
    for number, part in enumerate(report["progressive"], 1):
        if part["samples"] or not drawn:
            shown = "  ".join(f"{name} {value}" for name, value in part.items())
            yield f"  fifth {number}: {shown}"
    for head, parts in report["progressive_actions"].items():
        shown = "  ".join(f"{name} {value}" for name, value in parts[-1].items())
        yield f"  {head}, fifth {len(parts)}: {shown}"
    for number, part in drawn:
        shown = "  ".join(f"{name} {value:.4g}" for name, value in part.items())
        yield f"  drawn requests, fifth {number}: {shown}"
    if drawn:
        yield "  drawn requests only order items: the probabilities learned of them are relative"
    yield f"models: {models['published']} published, {models['served']} served"
    for name, values in report["freshness_ms"].items():
        yield f"{name} freshness: p50 {values['p50']} ms, p99 {values['p99']} ms"
    yield (
        f"requests: {requests['ok']} of {requests['sent']} ok, "
        f"p50 {requests['p50_ms']} ms, p99 {requests['p99_ms']} ms"
    )
    elapsed = report["elapsed_s"]
    yield f"started in {elapsed['start']} s, replayed in {elapsed['replay']} s"


def _quality(scores: Scores) -> dict[str, float | int | None]:
    return {
        "samples": scores.num_samples,
        "auc": _rounded(scores.auc, 4),
        "normalized_entropy": _rounded(scores.normalized_entropy, 4),
        "calibration": _rounded(scores.calibration, 4),
    }


def _percentiles(latencies: Latencies) -> dict[str, float | None]:
    return {f"p{int(s * 100)}": _rounded(latencies.percentile(s)) for s in (0.5, 0.99)}


def _rounded(value: float, digits: int = 1) -> float | None:
    return None if math.isnan(value) else round(value, digits)


def _chunks(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[start : start + USERS_PER_READ] for start in range(0, len(ids), USERS_PER_READ))
