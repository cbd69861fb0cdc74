"""The index of items' vectors: recall against comparing all, times of a search, bytes an item.

exact_100k     one byte a number, all compared
cells_1m       in cells, as it is built
appended_1m    the same, of which a tenth was appended to the cells afterwards
scattered_1m   the same of vectors whose centres lie anywhere, fifty to a centre: the hundred
               nearest lie in cells that have nothing in common

Vectors are unit vectors of 64 numbers around centres, the kinds of things of a catalogue, which lie
around those of their categories; queries are others of the same kinds. One thread.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from headrace.index.vector_index import VectorIndex

Floats = NDArray[np.float32]

WIDTH: Final = 64
NUM_CATEGORIES, KINDS_EACH = 200, 100
SPREAD: Final = 0.6  # of a vector around its centre, which has length 1
NUM_QUERIES: Final = 200
NEAREST: Final = 100
LIMIT: Final = 500  # candidates that a request asks for
SMALL, LARGE, APPENDED = 100_000, 1_000_000, 100_000


def run() -> dict[str, Any]:
    """The figures of each index; `index_recall` is the least of the first three."""
    draw = np.random.default_rng(0)
    category_CD = _unit(draw.normal(0, 1, (NUM_CATEGORIES, WIDTH)))
    centre_CD = _around(draw, category_CD, NUM_CATEGORIES * KINDS_EACH)
    vector_ND = _around(draw, centre_CD, LARGE)
    query_QD = _around(draw, centre_CD, NUM_QUERIES)
    key_N = np.arange(1, LARGE + 1)
    small = _figures(lambda: _of(key_N, vector_ND, SMALL), vector_ND[:SMALL], query_QD)
    large = _figures(lambda: _of(key_N, vector_ND, LARGE), vector_ND, query_QD)
    appended = _figures(lambda: _grown(key_N, vector_ND), vector_ND, query_QD)
    every = {"exact_100k": small, "cells_1m": large, "appended_1m": appended}
    scattered_CD = _unit(draw.normal(0, 1, centre_CD.shape))
    vector_ND = _around(draw, scattered_CD, LARGE)
    query_QD = _around(draw, scattered_CD, NUM_QUERIES)
    scattered = _figures(lambda: _of(key_N, vector_ND, LARGE), vector_ND, query_QD)
    return {
        "index_recall": min(one["recall_at_100"] for one in every.values()),
        "scattered_1m": scattered,
        "index_bytes_per_item_1m": large["bytes_per_item"],
        **every,
    }


def _of(key_N: NDArray[np.int64], vector_ND: Floats, num: int) -> VectorIndex:
    return VectorIndex.of(key_N[:num], vector_ND[:num])


def _grown(key_N: NDArray[np.int64], vector_ND: Floats) -> VectorIndex:
    """An index to which the last tenth came later, in steps."""
    index = _of(key_N, vector_ND, LARGE - APPENDED)
    for start in range(LARGE - APPENDED, LARGE, APPENDED // 10):
        part = slice(start, start + APPENDED // 10)
        index.put(key_N[part], vector_ND[part])
        index.rebuild()
    return index


def _figures(
    make: Callable[[], VectorIndex], vector_ND: Floats, query_QD: Floats
) -> dict[str, Any]:
    began_s = time.perf_counter()
    index = make()
    built_s = time.perf_counter() - began_s
    found = 0
    for query_D in query_QD:
        best_L = np.argpartition(-(vector_ND @ query_D), NEAREST)[:NEAREST] + 1
        found += len(np.intersect1d(index.nearest(query_D, NEAREST), best_L))
    return {
        "recall_at_100": round(found / NEAREST / len(query_QD), 4),
        "nearest_100_ms": _milliseconds(index, query_QD, NEAREST),
        "nearest_500_ms": _milliseconds(index, query_QD, LIMIT),
        "bytes_per_item": round(index.num_bytes / len(index), 1),
        "built_s": round(built_s, 1),
    }


def _milliseconds(index: VectorIndex, query_QD: Floats, limit: int) -> float:
    """The median time of a search."""
    times_s = []
    for query_D in query_QD:
        began_s = time.perf_counter()
        index.nearest(query_D, limit)
        times_s.append(time.perf_counter() - began_s)
    return round(1_000 * statistics.median(times_s), 3)


def _around(draw: np.random.Generator, centre_CD: Floats, num: int) -> Floats:
    """[N, D]: unit vectors around centres."""
    found = np.empty((num, WIDTH), np.float32)
    for start in range(0, num, 1 << 16):
        part = found[start : start + (1 << 16)]
        noise = draw.normal(0, SPREAD / WIDTH**0.5, part.shape)
        part[:] = _unit(centre_CD[draw.integers(0, len(centre_CD), len(part))] + noise)
    return found


def _unit(vector_ND: NDArray[Any]) -> Floats:
    length_N1 = np.linalg.norm(vector_ND, axis=1, keepdims=True)
    unit_ND: Floats = (vector_ND / length_N1).astype(np.float32)
    return unit_ND
