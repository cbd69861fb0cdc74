"""Features: the online store and the stream into it. The keys are those of the two measurements,
`benchmarks.features_store` and `benchmarks.features_stream`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.features_store import measure_store
from benchmarks.features_stream import measure_stream

RATIOS = ("time_ratio", "times_faster", "ratio")


def run() -> dict[str, Any]:
    """One number by key; under `series` the intervals and raw values behind those of the store."""
    store = measure_store()
    ratios = {key: number_of(measured) for key, measured in store.items()}
    return {**ratios, **measure_stream(), "series": store}


def number_of(measured: Mapping[str, Any]) -> float:
    """The ratio of a measurement; of several, the greatest."""
    for name in RATIOS:
        if name in measured:
            return float(measured[name])
    return max(number_of(one) for one in measured.values())
