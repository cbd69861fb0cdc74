"""Features: the online store and the stream into it. The keys are those of the two measurements,
`benchmarks.features_store` and `benchmarks.features_stream`."""

from __future__ import annotations

from typing import Any

from benchmarks.features_store import measure_store
from benchmarks.features_stream import measure_stream


def run() -> dict[str, Any]:
    """What was measured, by key."""
    return {**measure_store(), **measure_stream()}
