"""Features: the online store. See `benchmarks.features_store` for the keys."""

from __future__ import annotations

from typing import Any

from benchmarks.features_store import measure_store


def run() -> dict[str, Any]:
    """What was measured, by key."""
    return measure_store()
