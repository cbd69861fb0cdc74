"""A stream worker: owns partitions, processes their events, and has the effects delivered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from redis import Redis

from headrace import config
from headrace.broker.reader import LogReader, ends_of_log
from headrace.broker.record import Record
from headrace.broker.topics import Topics
from headrace.catalogue.words import user_word_keys
from headrace.errors import CommitDamaged
from headrace.features.online.store import OnlineStore
from headrace.features.rows.bounds import Bounds
from headrace.features.rows.merged import MergedState
from headrace.features.rows.messages.ownership import Ownership
from headrace.features.rows.messages.row_messages import MERGED, RowDecoder
from headrace.features.rows.namespace_actions import bind_actions
from headrace.features.rows.schemas import RowSchemas
from headrace.features.serving_key import ServingKey
from headrace.features.table import USER_LAYOUT
from headrace.positions.store import COMMITS, CommitStore
from headrace.skipped import Skipped
from headrace.stream.catalogue import WorkersCatalogue
from headrace.stream.delivery import Changed, Delivery, Step
from headrace.stream.owner import ItemOwner, Owned
from headrace.stream.source_log import bind_to_log
from headrace.stream.step.intake import Decoded, IntakeRules, decode_records
from headrace.stream.step.negatives import Negatives
from headrace.stream.step.partition import Effects, Partition, PartitionSettings

LOOK_EVERY_MS = 2_000  # at a commit that is damaged


class Worker:
    """Runs the partitions given to it until it is stopped; a new worker goes on where it ended."""

    def __init__(
        self, settings: config.Settings, partitions: Sequence[int], clock: Callable[[], int]
    ) -> None:
        self._settings, self._clock = settings, clock
        self._log = bind_to_log(settings)
        bind_actions(settings)
        self._topics = Topics(settings.namespace)
        redis = Redis.from_url(settings.redis_url)
        self._commits = CommitStore(redis, settings.namespace)
        self._skipped = Skipped(clock)
        schemas = RowSchemas(redis, settings.namespace, self._skipped)
        schemas.remember()
        self._rules = IntakeRules.of(settings, ServingKey.of(redis, settings.namespace))
        self._store = OnlineStore(settings, self._skipped)
        self._delivery = Delivery(settings, self._store, self._commits, clock, self._skipped)
        self._catalogue = WorkersCatalogue(settings, self._store, redis, self._skipped, clock)
        items = self._catalogue.items.table
        bounds = Bounds.of(settings)
        self._merged = MergedState(items.get, schemas.description, self._skipped, bounds)
        self._damaged: dict[int, bytes | None] = {}  # what lies there as partitions' commits
        rules = PartitionSettings.of(settings, item_ids=items.ids())
        self._partitions = dict(self._claimed(partitions, rules))
        self._look_ms = clock()
        ownership = Ownership(frozenset(partitions), settings.stream.num_partitions)
        decoder = RowDecoder(MERGED, schemas.description, self._skipped)
        self._owner = ItemOwner(settings, self._log, ownership, self._merged, decoder)

    def run(self, should_stop: Callable[[], bool]) -> None:
        """Recover, then process until told to stop. What is committed then is complete.

        A step is delivered while the next one is taken in: most of a delivery is waiting. It is
        over before the next begins, so that they end in the order of the log; one that fails
        ends the worker, with what it took in since.
        """
        events: LogReader | None = None
        try:
            self._catalogue.start(self._partitions)
            with ThreadPoolExecutor(max_workers=1) as thread:
                owned = self._owner.start(self._partitions)
                step = self._step((), lambda number: False, owned)
                delivered = thread.submit(self._delivery.deliver, step, 0)
                events = self._warm_up()
                while not should_stop() and not self._is_mended():
                    self._follow_catalogue()
                    owned = self._owner.poll(self._clock())
                    polled, gaps = events.poll(), events.take_gaps()
                    for gap in gaps:
                        self._partitions[gap.partition].skip(gap)
                    step = self._step(polled, events.at_end, owned, has_gaps=bool(gaps))
                    delivered.result()
                    delivered = thread.submit(self._delivery.deliver, step, events.lag())
                delivered.result()
        finally:
            for end in (events, self._owner, self._catalogue, self._delivery):
                if end is not None:
                    end.close()

    def _follow_catalogue(self) -> None:
        """Take in the items and users that came, changed or went."""
        followed = self._catalogue.poll()
        if followed.item_ids:
            self._owner.tell_again(self._merged.follow_items(followed.item_ids))
        if self._catalogue.is_to_be_drawn_anew():
            negatives = Negatives.of(self._settings, self._catalogue.items.table.ids())
            for partition in self._partitions.values():
                partition.draw_by(negatives)
        for user_id, attributes in followed.users.items():
            for partition in self._partitions.values():
                words = user_word_keys(attributes or ())
                partition.tell_user(user_id, words, attributes is None)

    def _claimed(
        self, numbers: Sequence[int], rules: PartitionSettings
    ) -> Iterator[tuple[int, Partition]]:
        """The partitions that can go on. One whose commit is damaged stands still, and the others
        go on; if there are no others, raises `CommitDamaged`."""
        ends: dict[int, int] = {}
        for number in numbers:
            payload = self._commits.payload(number)
            try:
                commit = self._commits.claim(number)
                if commit.offset and not ends:
                    ends = ends_of_log(self._settings, self._topics.events)
                if commit.offset > ends.get(number, commit.offset):
                    why = f"offset {commit.offset} is beyond the log's end, {ends[number]}"
                    raise CommitDamaged(self._commits.damaged(number, why))
            except CommitDamaged as error:
                self._damaged[number] = payload
                self._skipped.add(COMMITS, "no commit", str(error))
                if len(self._damaged) == len(numbers):
                    raise
                continue
            yield number, Partition(number, commit, self._merged, rules)

    def _is_mended(self) -> bool:
        """Whether a commit that was damaged has changed: then the worker ends and begins anew."""
        now_ms = self._clock()
        if not self._damaged or now_ms - self._look_ms < LOOK_EVERY_MS:
            return False
        self._look_ms = now_ms
        return any(self._commits.payload(n) != was for n, was in self._damaged.items())

    def _warm_up(self) -> LogReader:
        """Replay the log before the commits; returns the reader, positioned at the commits."""
        start = {number: part.warm_up_from for number, part in self._partitions.items()}
        commits = {number: part.commit.offset for number, part in self._partitions.items()}
        reader = self._events(start, until=commits)
        behind = {n for n, p in self._partitions.items() if p.commit.offset > start[n]}
        while behind:
            for number, records in _by_partition(reader.poll()).items():
                partition = self._partitions[number]
                before = [r for r in records if r.offset < partition.commit.offset]
                decoded = decode_records(before, self._clock(), self._rules)
                self._load_users(partition, decoded)
                partition.warm_up(decoded)
                if records[-1].offset + 1 >= partition.commit.offset:
                    behind.discard(number)
            gaps = reader.take_gaps()  # no loss: what was gone had been processed
            behind -= {g.partition for g in gaps if g.gone.stop >= commits[g.partition]}
        reader.close()
        return self._events(commits)

    def _events(
        self, start: Mapping[int, int], until: Mapping[int, int] | None = None
    ) -> LogReader:
        return LogReader(self._settings, self._topics.events, start, until=until, log=self._log)

    def _step(
        self,
        records: Sequence[Record],
        at_end: Callable[[int], bool],
        owned: Owned,
        has_gaps: bool = False,
    ) -> Step:
        """Process records into a step; nothing is written yet."""
        now_ms, parts = self._clock(), self._partitions
        decoded = {
            number: decode_records(of_partition, now_ms, self._rules)
            for number, of_partition in _by_partition(records).items()
        }
        arrived = {number: [one.record for one in each] for number, each in decoded.items()}
        all_effects = self._effects(decoded, at_end)
        changed = [*self._changed_users(all_effects, arrived), *owned.changed]
        gone = self._owner.end_step(now_ms)
        unknown = {entity: table.counts() for entity, table in self._merged.tables.items()}
        commits = {number: partition.commit for number, partition in parts.items()}
        first_corrected: dict[str, str] = {}
        for partition in parts.values():
            first_corrected = partition.first_corrected | first_corrected
        return Step(
            arrived,
            all_effects,
            changed,
            gone,
            commits,
            unknown,
            owned.published,
            has_gaps,
            sum(partition.num_lost for partition in parts.values()),
            first_corrected,
        )

    def _effects(
        self, by_partition: Mapping[int, Sequence[Decoded]], at_end: Callable[[int], bool]
    ) -> dict[int, Effects]:
        """The effects of the records, by partition. Only one that was read to its end may close
        windows by the clock: without records for the others nothing happens in them."""
        all_effects = {}
        for number, partition in self._partitions.items():
            if number in by_partition or at_end(number):
                decoded = by_partition.get(number, [])
                self._load_users(partition, decoded)
                all_effects[number] = partition.process(decoded, self._clock())
        return all_effects

    def _load_users(self, partition: Partition, decoded: Sequence[Decoded]) -> None:
        missing = partition.missing_users(decoded)
        stored = self._store.read_users(missing)
        words = list(map(user_word_keys, stored.attributes))
        partition.add_users(missing, stored.rows, words, stored.unknown)

    def _changed_users(
        self, all_effects: Mapping[int, Effects], by_partition: Mapping[int, Sequence[Record]]
    ) -> Iterator[Changed]:
        for number, effects in all_effects.items():
            ids, rows = effects.changed.users
            arrivals_ms = [record.arrival_ms for record in by_partition.get(number, [])]
            expires_N = effects.changed.expiring_users_N
            yield Changed.of(number, USER_LAYOUT, (ids, rows, expires_N), arrivals_ms)


def _by_partition(records: Sequence[Record]) -> dict[int, list[Record]]:
    """The records of each partition, in order."""
    grouped: dict[int, list[Record]] = {}
    for record in records:
        grouped.setdefault(record.partition, []).append(record)
    return grouped
