"""The batch path: the stream's partitions over records from anywhere, without servers.

What a stream worker does with its topics and stores, these do in memory; so what comes out is what
the stream would have made of the same records.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from headrace.features.rows.item_columns import ItemOf
from headrace.features.rows.merged import MergedState
from headrace.features.rows.state_row import Rows, encode_rows
from headrace.positions.commit import Commit
from headrace.stream.step.intake import Decoded
from headrace.stream.step.partition import Effects, Partition, PartitionSettings


@dataclass(frozen=True, slots=True)
class StartState:
    """The initial state of a namespace: rows of users, and of merged entities by kind."""

    users: dict[str, bytes] = field(default_factory=dict)
    partials: Mapping[str, tuple[Sequence[str], Rows]] = field(default_factory=dict)


WordsOf = Callable[[str], tuple[int, ...]]  # the keys of a user's attributes
MakePartition = Callable[[int, Commit, MergedState, PartitionSettings], Partition]


class BatchPath:
    """The batch path: partitions over one `MergedState`, each at its next offset."""

    def __init__(
        self,
        item_of: ItemOf,
        rules: PartitionSettings,
        start: StartState | None = None,
        words_of: WordsOf = lambda user_id: (),
        make_partition: MakePartition = Partition,
    ) -> None:
        self._rules, start = rules, start or StartState()
        self._words_of, self._make_partition = words_of, make_partition
        self.merged = MergedState(item_of)
        for entity, (ids, rows) in start.partials.items():
            self.merged.tables[entity].apply(ids, rows)
        self.merged.meet_items()
        self.user_rows = dict(start.users)  # by id, as `encode_rows` makes them
        self._partitions: dict[int, Partition] = {}

    def process(self, number: int, decoded: Sequence[Decoded], now_ms: int) -> Effects:
        """The effects of a partition's next records; without any, its windows close by `now_ms`."""
        if number not in self._partitions:
            first = decoded[0].record.offset if decoded else 0
            commit = Commit(offset=first, low_offset=first)
            self._partitions[number] = self._make_partition(
                number, commit, self.merged, self._rules
            )
        partition = self._partitions[number]
        missing = partition.missing_users(decoded)
        stored = list(map(self.user_rows.get, missing))
        partition.add_users(missing, stored, list(map(self._words_of, missing)))
        effects = partition.process(decoded, now_ms)
        ids, rows = effects.changed.users
        self.user_rows.update(zip(ids, encode_rows(rows), strict=True))
        return effects
