"""The catalogue of a stream worker: items and users as their topics tell of them.

Every worker has all items; the owner of a partition writes the static features of its items and
users into the online store, where Feast and serving read them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from redis import Redis

from headrace.broker.partitioner import partitions_of
from headrace.broker.reader import LogReader
from headrace.broker.record import Record
from headrace.broker.topics import Topics, log_identity
from headrace.catalogue.item import User
from headrace.catalogue.place import Place
from headrace.config import Settings
from headrace.documents.document import (
    USER,
    UserDocument,
    UserPatch,
    attributes_of,
    merged,
    words_of,
)
from headrace.documents.followed import FollowedItems
from headrace.documents.follower import ItemChanges
from headrace.documents.messages import MessageReader, id_in
from headrace.errors import InvalidDocument
from headrace.features.online.store import OnlineStore
from headrace.skipped import Skipped

DRAW_EVERY_MS: Final = 10_000  # from which items negatives are drawn
DRAW_ITEMS: Final = 10_000  # of a catalogue; one of a million is numbered anew every 17 minutes


@dataclass(frozen=True, slots=True)
class Followed:
    """Items and users that came, changed or went, with the attributes of the latter; None for
    a user of whom nothing is told any more."""

    item_ids: Sequence[str]
    users: Mapping[str, tuple[str, ...] | None]

    def __bool__(self) -> bool:
        return bool(self.item_ids or self.users)


class WorkersCatalogue:
    """The items of a worker, and the static features of its partitions in the online store."""

    def __init__(
        self,
        settings: Settings,
        store: OnlineStore,
        redis: Redis,
        skipped: Skipped,
        clock: Callable[[], int],
    ) -> None:
        self._settings, self._clock = settings, clock
        self._followed = FollowedItems(settings, skipped, clock)
        self._contents = _Contents(settings, store, redis, clock)
        self._users = _Users(settings, store, redis, skipped, clock)
        self._own: frozenset[int] = frozenset()
        self._has_others, self._drawn_ms = False, clock()

    @property
    def items(self) -> FollowedItems:
        """The items that are followed."""
        return self._followed

    def start(self, partitions: Iterable[int]) -> None:
        """Take in the items of now; own these partitions' users and items."""
        self._own = frozenset(partitions)
        before = self._followed.place
        changed = self._followed.read_to_end()
        self._contents.start(self._own, before, self._followed, changed)
        self._users.start(self._own)

    def poll(self) -> Followed:
        """Take in the messages that came, now and then; returns the changes."""
        changes = self._followed.poll()
        if changes:
            self._contents.write(changes, self._followed.place)
            self._has_others = True
        if 0 in self._own:  # one worker of a node's is enough
            self._followed.keep_if_due()
        item_ids = [*(item.item_id for item in changes.put), *changes.removed]
        return Followed(item_ids, self._users.poll())

    def is_to_be_drawn_anew(self) -> bool:
        """Whether items have come or gone for long enough that drawing of those of before ends.
        Large catalogues are numbered anew less often."""
        now_ms = self._clock()
        every_ms = DRAW_EVERY_MS + DRAW_EVERY_MS * len(self._followed.table) // DRAW_ITEMS
        if not self._has_others or now_ms - self._drawn_ms < every_ms:
            return False
        self._has_others, self._drawn_ms = False, now_ms
        return True

    def close(self) -> None:
        """Write the items for whoever starts next, and leave the broker."""
        self._followed.keep_if_due(is_last=True)
        self._followed.close()
        self._users.close()


def owned(ids: Sequence[str], partitions: frozenset[int], settings: Settings) -> set[str]:
    """Those of these items or users that are of these partitions."""
    num_partitions = settings.stream.num_partitions
    homes = partitions_of([id_.encode() for id_ in ids], num_partitions).tolist()
    return {id_ for id_, home in zip(ids, homes, strict=True) if home in partitions}


class _Positions:
    """How far the rows of each partition are in the online store, in a hash in Redis."""

    def __init__(self, redis: Redis, name: str) -> None:
        self._redis, self._name = redis, name
        self._own, self._log = frozenset[int](), ""

    def start(self, own: frozenset[int], log: str) -> int | None:
        """The first offset that the rows of these partitions lack; None where nobody knows."""
        self._own, self._log = own, log
        found = self._redis.hgetall(self._name)
        if found.get(b"log", b"").decode() != log:
            return None
        offsets = [found.get(str(number).encode()) for number in own]
        return None if None in offsets else min(map(int, filter(None, offsets)), default=0)

    def write(self, end: int) -> None:
        """The rows of these partitions are written up to this offset."""
        ends = {str(number): end for number in self._own}
        self._redis.hset(self._name, mapping={**ends, "log": self._log})


class _Contents:
    """Items of some partitions in the online store. What nobody wrote is written at the start:
    before this worker's first, the rows are those that were materialized."""

    def __init__(
        self, settings: Settings, store: OnlineStore, redis: Redis, clock: Callable[[], int]
    ) -> None:
        self._settings, self._store, self._clock = settings, store, clock
        self._positions = _Positions(redis, f"{settings.namespace}:followed-items")
        self._own = frozenset[int]()

    def start(
        self,
        own: frozenset[int],
        before: Place,
        followed: FollowedItems,
        changed: Collection[str],
    ) -> None:
        """Write the changes since the table's snapshot was made, and those that others left."""
        self._own, end = own, followed.place.offsets[0]
        written = self._positions.start(own, followed.place.log)
        begins = before.offsets.get(0, 0) if written is None else written
        ids = set(changed)
        topic = Topics(self._settings.namespace).items
        if begins < end:
            with closing(LogReader(self._settings, topic, {0: begins})) as reader:
                for records in reader.read_to_end():
                    ids.update(map(id_in, records))
        items = {item_id: followed.table.get(item_id) for item_id in ids}
        put = [item for item in items.values() if item is not None]
        gone = [item_id for item_id, item in items.items() if item is None]
        self.write(ItemChanges(put, gone), followed.place)

    def write(self, changes: ItemChanges, place: Place) -> None:
        """Write items that changed; the table has followed so far."""
        ids = [*(item.item_id for item in changes.put), *changes.removed]
        mine = owned(ids, self._own, self._settings)
        put = [item for item in changes.put if item.item_id in mine]
        self._store.write_contents(put, self._clock())
        self._store.delete_contents([id_ for id_ in changes.removed if id_ in mine])
        self._positions.write(place.offsets[0])


class _Users:
    """Users of some partitions, from their topic into the online store; read again after a crash,
    which changes nothing."""

    def __init__(
        self,
        settings: Settings,
        store: OnlineStore,
        redis: Redis,
        skipped: Skipped,
        clock: Callable[[], int],
    ) -> None:
        self._settings, self._store, self._clock = settings, store, clock
        self._messages = MessageReader(USER, skipped)
        self._positions = _Positions(redis, f"{settings.namespace}:followed-users")
        self._reader: LogReader | None = None
        self._own = frozenset[int]()

    def start(self, partitions: frozenset[int]) -> None:
        """Go on where the users of these partitions were left, the first of them."""
        topic, self._own = Topics(self._settings.namespace).users, partitions
        log = str(log_identity(self._settings, topic))
        start = self._positions.start(partitions, log) or 0
        self._reader = LogReader(self._settings, topic, {0: start})

    def poll(self) -> dict[str, tuple[str, ...] | None]:
        """Write the users who came into the store; returns their attributes."""
        records = self._reader.poll(timeout_ms=0) if self._reader else []
        if not records:
            return {}
        told = self._told(records)
        put = [User(id_, words) for id_, words in told.items() if words is not None]
        self._store.write_profiles(put, self._clock())
        self._store.delete_profiles([id_ for id_, words in told.items() if words is None])
        self._positions.write(records[-1].offset + 1)
        return told

    def close(self) -> None:
        """Leave the broker."""
        if self._reader is not None:
            self._reader.close()

    def _told(self, records: Sequence[Record]) -> dict[str, tuple[str, ...] | None]:
        every = [self._messages.read(record) for record in records]
        ids = owned([one[0] for one in every if one], self._own, self._settings)
        read = [one if one and one[0] in ids else None for one in every]
        parts = {id_ for id_, document in filter(None, read) if isinstance(document, UserPatch)}
        told: dict[str, tuple[str, ...] | None] = {}
        stored = self._stored(sorted(parts))
        for record, one in zip(records, read, strict=True):
            if one is None:
                continue
            id_, document = one
            if isinstance(document, UserPatch):
                words = told[id_] if id_ in told else stored.get(id_)
                before = UserDocument(id_, attributes_of(words or ()))
                try:
                    told[id_] = words_of(merged(before, document).attributes)
                except InvalidDocument as error:
                    self._messages.skip(record, "a part that does not fit", str(error))
            elif isinstance(document, UserDocument):
                told[id_] = words_of(document.attributes)
            else:
                told[id_] = None
        return told

    def _stored(self, user_ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
        return dict(zip(user_ids, self._store.read_users(user_ids).attributes, strict=True))
