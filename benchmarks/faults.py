"""Faults outside of headrace, and what they do to it: junk, poison, paces, and unknown ids."""

from __future__ import annotations

from typing import Any

from benchmarks import junk, newids, poison


def run() -> dict[str, Any]:
    """The figures of each, in this order: about twenty minutes on two cores."""
    return {**junk.run(), **poison.run(), **newids.run()}
