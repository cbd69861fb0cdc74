"""The index against comparing everything: whatever comes, changes and goes, and while it is
rebuilt."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.index import vector_index
from headrace.index.sealed import Floats, Ints, Sealed
from headrace.index.vector_index import VectorIndex

WIDTH = 5
Vectors = dict[int, Floats]

steps = st.lists(
    st.tuples(
        st.sampled_from(["put", "remove", "rebuild", "put while it is rebuilt"]),
        st.lists(st.integers(1, 40), min_size=1, max_size=8, unique=True),
    ),
    max_size=12,
)


def drawn(keys: list[int], seed: int) -> tuple[Ints, Floats]:
    """A vector for each of these keys."""
    vectors = np.random.default_rng(seed).normal(0, 1, (len(keys), WIDTH)).astype(np.float32)
    return np.array(keys, np.int64), vectors


def put(index: VectorIndex, known: Vectors, keys: list[int], seed: int) -> None:
    key_U, vector_UD = drawn(keys, seed)
    index.put(key_U, vector_UD)
    known |= dict(zip(keys, vector_UD, strict=True))


def compared(
    known: Vectors, query: Floats, keep: Callable[[int], bool] = lambda _: True
) -> list[int]:
    """The keys by their products, best first."""
    kept = [key for key in known if keep(key)]
    return sorted(kept, key=lambda key: -float(known[key] @ query))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(1, 40), max_size=20, unique=True), steps, st.integers(0, 12))
def test_the_nearest_are_those_of_comparing_all_that_is_there_now(
    first: list[int], steps: list[tuple[str, list[int]]], limit: int
) -> None:
    key_N, vector_ND = drawn(first, 0)
    index, known = VectorIndex.of(key_N, vector_ND), dict(zip(first, vector_ND, strict=True))
    for seed, (what, keys) in enumerate(steps, 1):
        if what == "put":
            put(index, known, keys, seed)
        elif what == "remove":
            index.remove(np.array(keys, np.int64))
            known = {key: vector for key, vector in known.items() if key not in keys}
        elif what == "rebuild":
            index.rebuild()
        else:
            made = index.seal()
            put(index, known, keys, seed)
            index.swap_in(made)
        query = np.random.default_rng(seed).normal(0, 1, WIDTH).astype(np.float32)
        assert index.nearest(query, limit).tolist() == compared(known, query)[:limit]
        odd = index.nearest(query, limit, lambda key_L: key_L % 2 == 1)
        assert odd.tolist() == compared(known, query, lambda key: key % 2 == 1)[:limit]
        assert len(index) == len(known)


@pytest.mark.parametrize(("flat", "exact"), [(5_000, 5_000), (0, 5_000), (0, 0)])
def test_bytes_and_cells_find_nearly_all_of_the_nearest(flat: int, exact: int) -> None:
    random = np.random.default_rng(0)
    centre_CD = random.normal(0, 1, (50, 32))
    vector_ND = centre_CD[random.integers(0, 50, 4_000)] + random.normal(0, 0.4, (4_000, 32))
    vector_ND = (vector_ND / np.linalg.norm(vector_ND, axis=1, keepdims=True)).astype(np.float32)
    sealed = Sealed.of(np.arange(1, 4_001), vector_ND.__getitem__, flat, exact)
    found, alive = 0, np.full(500, 255, np.uint8)
    for query_D in vector_ND[::100]:
        best = set(np.argsort(-(vector_ND @ query_D))[:100].tolist())
        found += len(best & set(sealed.nearest(query_D, 100, alive)[1].tolist()))
    assert found / 4_000 >= 0.95
    assert np.abs(sealed.vectors() - vector_ND).max() < 0.02


def test_it_is_due_when_much_has_come_or_gone_and_no_more_once_it_is_rebuilt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(vector_index, "MOST_RECENT", 10)
    keys, vectors = drawn(list(range(1, 41)), 1)
    index = VectorIndex.of(keys[:20], vectors[:20])
    index.put(keys[20:30], vectors[20:30])
    assert not index.is_due
    index.put(keys[30:], vectors[30:])
    assert index.is_due
    index.rebuild()
    assert not index.is_due and len(index) == 40
    index.remove(keys[:11])
    assert index.is_due
    index.rebuild()
    assert not index.is_due and len(index) == 29
