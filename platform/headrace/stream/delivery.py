"""Delivery: the effects of a worker's steps to the topics, the online store and the commits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from redis import Redis

from headrace.ads.budgets import Budgets
from headrace.application.current import APPLICATION
from headrace.broker.record import Record
from headrace.broker.topics import Topics
from headrace.broker.writer import LogWriter
from headrace.config import Settings
from headrace.event import MAX_EVENT_BYTES
from headrace.features.aggregation.facts import Ints
from headrace.features.aggregation.layout import Layout
from headrace.features.online.store import OnlineStore
from headrace.features.rows.bounds import row_ttls_s
from headrace.features.rows.messages.ownership import owner_of
from headrace.features.rows.messages.row_messages import RowKey, merged_messages, partial_messages
from headrace.features.rows.numbers_message import encode_feature_rows, numbered
from headrace.features.rows.state_row import Rows
from headrace.features.schema import VIEW_SCHEMA
from headrace.features.store.columns import Expiry
from headrace.features.store.last_items import USER_HIDES
from headrace.features.table import LAYOUTS, USER
from headrace.monitoring.documents import StreamDocument
from headrace.monitoring.monitor import Monitor, ReferenceStore, Written
from headrace.monitoring.status import StatusBoard
from headrace.pipeline.filters.seen import lists_of
from headrace.positions.commit import Commit
from headrace.positions.store import CommitStore
from headrace.sample import encode_batches
from headrace.settings.seen import seen_policy
from headrace.skipped import Skipped, place
from headrace.stream.dead_letter import message_of
from headrace.stream.memory import give_back
from headrace.stream.redis_watch import RedisWatch
from headrace.stream.step.intake import DeadLetter
from headrace.stream.step.partition import Effects

STATUS_EVERY_MS = 500
GIVE_BACK_EVERY_MS = 60_000  # memory that is free


@dataclass(frozen=True, slots=True)
class Changed:
    """Rows that go to the online store, by the partition that answers for them."""

    partition: int
    layout: Layout
    ids: list[str]
    rows: Rows
    number_NF: NDArray[np.float32]  # as of the last event, NaN where there is none
    expires_N: NDArray[np.bool_]  # nobody announced the entity
    arrivals_ms: Sequence[int]

    @classmethod
    def of(
        cls,
        partition: int,
        layout: Layout,
        changed: tuple[list[str], Rows, NDArray[np.bool_]],
        arrivals_ms: Sequence[int],
    ) -> Changed:
        """Ids, rows, and which entities nobody announced, with the numbers of the rows."""
        ids, rows, expires_N = changed
        number_NF = layout.kept_numbers(rows["state"], rows["event_time_ms"])
        return cls(partition, layout, ids, rows, number_NF, expires_N, arrivals_ms)

    def take(self, place_K: Ints) -> Changed:
        """Those of the rows at these places, as if nothing had arrived."""
        ids = [self.ids[place] for place in place_K.tolist()]
        kept = (self.rows.take(place_K), self.number_NF[place_K], self.expires_N[place_K])
        return Changed(self.partition, self.layout, ids, *kept, ())


@dataclass(frozen=True, slots=True)
class Gone:
    """Rows to be deleted, of entities that were forgotten: partial ones in their topic, by place
    and key, and merged ones in theirs and in the online store, by the owner's partition."""

    partials: list[tuple[int, bytes]] = field(default_factory=list)
    merged: list[tuple[int, Layout, list[str]]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.partials or self.merged)


@dataclass(frozen=True, slots=True)
class Step:
    """Records and their effects by partition, with the commits to write once the step is done."""

    records: Mapping[int, Sequence[Record]]
    effects: Mapping[int, Effects]
    changed: Sequence[Changed]
    gone: Gone
    commits: Mapping[int, Commit]
    unknown: Mapping[str, Mapping[str, int]]  # what became of unknown entities, by kind
    published: Sequence[Changed] = ()  # rows of merged entities for their topic
    has_gaps: bool = False  # events were gone from the log: a commit says so
    num_lost: int = 0  # rows of users that were written and are gone
    first_corrected: Mapping[str, str] = field(default_factory=dict)  # `Partition.first_corrected`

    def __bool__(self) -> bool:
        samples = any(effects.samples for effects in self.effects.values())
        changed = any(one.ids for one in self.changed)
        return bool(self.records or self.gone) or samples or changed or self.has_gaps


class Delivery:
    """Delivers one step after the other. It may have a thread of its own: nothing in it is used
    elsewhere but `store` and `commits`, which any thread may use."""

    def __init__(
        self,
        settings: Settings,
        store: OnlineStore,
        commits: CommitStore,
        clock: Callable[[], int],
        skipped: Skipped,
    ) -> None:
        self._store, self._commits, self._clock = store, commits, clock
        self._skipped = skipped
        self._topics, self._num_partitions = (
            Topics(settings.namespace),
            settings.stream.num_partitions,
        )
        self._writer = LogWriter(settings)
        self._ttls_s = row_ttls_s(settings)
        policies = seen_policy(settings.serving.seen), *APPLICATION.seen_on.values()
        self._lists = (*USER_HIDES, *lists_of(*policies))
        redis = Redis.from_url(settings.redis_url)
        self._status = StatusBoard(redis, settings.namespace, skipped)
        self._budgets = Budgets(redis, settings.namespace, skipped)
        self._monitor = Monitor(ReferenceStore(redis, settings.namespace, skipped))
        self._watch = RedisWatch(settings, [redis, *store.clients_elsewhere])
        self._watch.look(clock())
        self._status_due_ms = 0
        self._give_back_due_ms = clock() + GIVE_BACK_EVERY_MS

    def deliver(self, step: Step, lag: int) -> None:
        """Deliver a step, in the order that makes a crash at any point harmless.

        1. letters, samples and the numbers of rows go to their topics, and are acknowledged; with
           them the merged rows of the worker's own entities, if the partitions are still its own:
           the partial rows in them were acknowledged in earlier steps;
        2. partial item states go to theirs, each where the entity's owner reads it: what they
           include has its samples in the topic, so that no sample is ever made again from a state
           that knows its outcome; those of entities that were forgotten are deleted there;
        3. the rows of users, and those merged rows, go to the online store, if the partitions are
           still this worker's, with what users have seen; ads that were shown are charged; merged
           rows of forgotten entities are deleted;
        4. the commit: an event before it is in all of these.

        Raises `ServiceError` before all of it if Redis may forget what it is given.
        """
        self._watch.look(self._clock())
        if step:
            self._send_merged(step.published)
            letters = [one for effects in step.effects.values() for one in effects.dead_letters]
            if letters:
                self._send_letters(letters)
            for partition, effects in step.effects.items():
                self._send_labelled(partition, effects)
            for rows in step.changed:
                self._send_numbers(rows)
            self._writer.flush()
            self._send_partials(step)
            self._commits.check()
            for rows in step.changed:
                self._write(rows)
            for effects in step.effects.values():
                self._write_seen(effects)
                self._budgets.charge(effects.shown_ads)
            self._delete_merged(step.gone)
            self._commits.write(step.commits)
        self._report(step, lag)

    def close(self) -> None:
        self._writer.close()

    def _send_letters(self, letters: Sequence[DeadLetter]) -> None:
        """Send letters; one that the broker refuses goes without the original, which it names."""
        short = self._offer(letters, MAX_EVENT_BYTES)
        self._writer.flush()
        gone = self._offer([letter for letter, _ in short], 0)
        self._writer.flush()
        for letter, why in gone:
            where = place(letter.record.partition, letter.record.offset)
            self._skipped.add("dead-letters", "refused by the broker", f"{where}: {why}")

    def _offer(self, letters: Sequence[DeadLetter], max_bytes: int) -> list[tuple[DeadLetter, str]]:
        """Queue letters; the list that is returned has those refused once all are flushed."""
        refused: list[tuple[DeadLetter, str]] = []
        for letter in letters:
            value, headers = message_of(letter, self._topics.events, max_bytes)

            def note(why: str, letter: DeadLetter = letter) -> None:
                refused.append((letter, why))

            self._writer.offer(self._topics.dead_letters, value, headers, note)
        return refused

    def _send_labelled(self, partition: int, effects: Effects) -> None:
        for message in encode_batches(effects.samples):
            self._writer.send(self._topics.samples, message, partition=partition)

    def _send_numbers(self, one: Changed) -> None:
        numbers_NF = one.layout.with_defaults(one.number_NF)
        feature_rows = numbered(one.layout, one.partition, one.ids, one.rows, numbers_NF)
        for message in encode_feature_rows(feature_rows):
            self._writer.send(self._topics.feature_rows, message, partition=one.partition)

    def _send_partials(self, step: Step) -> None:
        for partition, effects in step.effects.items():
            self._send_partial(effects, step.records.get(partition, []))
        self._writer.flush()
        for number, row_key in step.gone.partials:
            self._writer.send(self._topics.item_partials, None, row_key, number)
        self._writer.flush()

    def _send_partial(self, effects: Effects, records: Sequence[Record]) -> None:
        """Send partial states; each arrived when the newest event in it did."""
        arrival_of = {record.offset: record.arrival_ms for record in records}
        partials = effects.changed.partials
        newest = [offset for _, rows in partials.values() for offset in rows["position"].tolist()]
        for (about, value), offset in zip(partial_messages(partials), newest, strict=True):
            self._writer.send(
                self._topics.item_partials,
                value,
                about.encoded(),
                owner_of(about.entity_id, self._num_partitions),
                arrival_ms=arrival_of[offset],
            )

    def _send_merged(self, published: Sequence[Changed]) -> None:
        if any(one.ids for one in published):
            self._commits.check()
        for one in published:
            for about, value in merged_messages(one.layout, one.ids, one.rows):
                self._writer.send(self._topics.item_features, value, about.encoded(), one.partition)

    def _delete_merged(self, gone: Gone) -> None:
        """Delete the merged rows of forgotten entities, after all that was sent of them."""
        for number, layout, ids in gone.merged:
            if layout in LAYOUTS:
                self._store.delete(layout, ids)
            for entity_id in ids:
                row_key = RowKey(layout.entity, entity_id).encoded()
                self._writer.send(self._topics.item_features, None, row_key, number)
        self._writer.flush()

    def _write(self, one: Changed) -> None:
        numbers_NF = one.layout.with_defaults(one.number_NF)
        expiry = Expiry(one.expires_N, self._ttls_s.get(one.layout.entity, 0))
        self._store.write(one.layout, one.ids, one.rows, numbers_NF, expiry)
        written = Written(one.layout, one.rows, one.number_NF, one.arrivals_ms)
        self._monitor.take(written, self._clock())

    def _write_seen(self, effects: Effects) -> None:
        """Put items into the lists that the policy of seen items, and the filter `hidden`, read."""
        sketched = effects.changed.sketched
        for seen in (*effects.changed.seen, *([sketched] if sketched else [])):
            if seen.name in self._lists and seen.user_ids:
                expiry = Expiry(seen.expires_U, self._ttls_s[USER])
                self._store.add_to_lists(seen.name, seen.user_ids, seen.payloads, expiry)

    def _report(self, step: Step, lag: int) -> None:
        now_ms = self._clock()
        if now_ms < self._status_due_ms:
            return
        self._status_due_ms = now_ms + STATUS_EVERY_MS
        if now_ms >= self._give_back_due_ms:
            self._give_back_due_ms = now_ms + GIVE_BACK_EVERY_MS
            give_back()
        document = StreamDocument(
            worker=min(step.commits),
            lag=lag,
            schema=VIEW_SCHEMA,
            views=self._monitor.report(now_ms),
            corrected=dict(step.first_corrected),
            skipped=self._skipped.report(),
            unknown={kind: dict(counts) for kind, counts in step.unknown.items()},
            lost_rows=step.num_lost,
            stores=tuple(self._watch.conditions),
        )
        self._status.write(document, now_ms)
