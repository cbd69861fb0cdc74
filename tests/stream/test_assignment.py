"""Which worker owns which partitions: all of them, evenly, and moving as few as that needs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headrace.stream.assignment import balanced


@given(st.integers(1, 40), st.lists(st.sets(st.integers(0, 9), min_size=1), min_size=1, max_size=6))
def test_every_partition_has_one_owner_and_no_worker_more_than_one_beyond_another(
    num_partitions: int, changes: list[set[int]]
) -> None:
    owned: dict[int, tuple[int, ...]] = {}
    for workers in changes:
        before, owned = owned, balanced(owned, sorted(workers), num_partitions)
        assert owned.keys() == workers
        assert sorted(n for numbers in owned.values() for n in numbers) == [*range(num_partitions)]
        sizes = [len(numbers) for numbers in owned.values()]
        assert max(sizes) - min(sizes) <= 1
        most = -(-num_partitions // len(workers))
        for worker in workers & before.keys():  # keeps what it had, up to its share
            kept = set(owned[worker]) & set(before[worker])
            assert len(kept) >= min(len(before[worker]), len(owned[worker]), most)


def test_nothing_moves_when_nothing_changes() -> None:
    owned = balanced({}, [3, 7], 5)
    assert balanced(owned, [3, 7], 5) == owned


def test_a_lost_worker_loses_only_its_own_partitions() -> None:
    owned = balanced({}, [0, 1, 2], 6)
    after = balanced(owned, [0, 2], 6)
    assert set(owned[0]) < set(after[0]) and set(owned[2]) < set(after[2])


def test_without_workers_nobody_owns_anything() -> None:
    assert balanced({0: (1, 2)}, [], 4) == {}
