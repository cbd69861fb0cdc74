"""Assignment: which worker owns which partitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def balanced(
    current: Mapping[int, Sequence[int]], workers: Sequence[int], num_partitions: int
) -> dict[int, tuple[int, ...]]:
    """Every partition to one of these workers, as evenly as can be, moving as few as that needs.

    `current` is what workers own now; workers that are not named lose what they own.
    """
    if not workers:
        return {}
    kept = {worker: list(current.get(worker, ())) for worker in workers}
    owned = {partition for partitions in kept.values() for partition in partitions}
    free = [partition for partition in range(num_partitions) if partition not in owned]
    share, rest = divmod(num_partitions, len(workers))
    by_size = sorted(workers, key=lambda worker: (-len(kept[worker]), worker))
    room = {worker: share + (place < rest) for place, worker in enumerate(by_size)}
    for worker in workers:
        free += kept[worker][room[worker] :]
        del kept[worker][room[worker] :]
    for worker in workers:
        missing = room[worker] - len(kept[worker])
        kept[worker] += free[:missing]
        del free[:missing]
    return {worker: tuple(sorted(partitions)) for worker, partitions in kept.items()}
