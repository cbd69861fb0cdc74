"""One partition of the event log: decoded events in, their effects out, without any I/O.

Exactness comes from positions. A user's row and a merged entity's partial row carry the offset that
they include, so an event read again does not count again. Samples are made in the order of offsets,
so that whoever reads them can skip those that it took before. `warm_up` brings back, from events
before the committed offset, what is not stored: the ids seen lately and the open impressions.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from headrace.broker.log_watch import Gap
from headrace.broker.partitioner import partition_of
from headrace.broker.record import Record
from headrace.config import Settings
from headrace.errors import InvalidEvent
from headrace.event import Event
from headrace.features.rows.merged import MergedState
from headrace.features.rows.state_row import blank_rows, decode_rows
from headrace.features.table import USER_LAYOUT
from headrace.positions.commit import Commit
from headrace.sample import SEQUENCE_KNOWN, Sample
from headrace.stream.step.dedupe import Dedupe
from headrace.stream.step.facts_of_step import Labelled, StepFacts
from headrace.stream.step.intake import (
    AHEAD,
    UNSIGNED,
    DeadLetter,
    Decoded,
    dead_letters,
    valid_events,
)
from headrace.stream.step.join import Join
from headrace.stream.step.log_time import log_times_ms
from headrace.stream.step.negatives import NOTHING, Draws, Negatives
from headrace.stream.step.partition_rows import ChangedRows, PartitionRows
from headrace.stream.step.samples import samples_of

log = logging.getLogger(__name__)

MAX_USERS = 100_000  # rows kept in memory per partition; others are read again when they come


@dataclass(frozen=True, slots=True)
class Effects:
    """The effects of some records, in the order to write: letters, samples, partial rows, users,
    ads that were shown."""

    dead_letters: list[DeadLetter]
    samples: list[Sample]
    changed: ChangedRows
    shown_ads: Sequence[tuple[str, str]] = ()  # campaign and request


@dataclass(frozen=True, slots=True)
class PartitionSettings:
    """A partition's settings: deduplication window, attribution window and allowed lateness.

    Without `samples` only features are made. With `every_event` the effects also have the users'
    rows as each event left them. Without `num_partitions` it is not asked whether users belong to
    the partition that their events are in.
    """

    dedupe_window: int
    click_window_ms: int
    lateness_ms: int = 60_000
    every_event: bool = False
    samples: bool = True
    num_partitions: int = 0
    negatives: Negatives = NOTHING

    @classmethod
    def of(
        cls,
        settings: Settings,
        every_event: bool = False,
        item_ids: Iterable[str] = (),
    ) -> PartitionSettings:
        """The partition's settings from the platform's."""
        return cls(
            dedupe_window=settings.stream.dedupe_window,
            click_window_ms=int(settings.stream.click_window_s * 1_000),
            lateness_ms=int(settings.stream.allowed_lateness_s * 1_000),
            every_event=every_event,
            samples=settings.stream.make_samples,
            num_partitions=settings.stream.num_partitions,
            negatives=Negatives.of(settings, item_ids),
        )


class Partition:
    """The state of one partition's owner. Time is an argument; rows of users are given to it."""

    def __init__(
        self, number: int, commit: Commit, merged: MergedState, settings: PartitionSettings
    ) -> None:
        self.number, self.commit, self._settings = number, commit, settings
        self._dedupe, self._join = Dedupe(settings.dedupe_window), Join(settings.click_window_ms)
        self._rows = PartitionRows(
            number, merged, MAX_USERS, settings.every_event, settings.num_partitions
        )
        self._draws = Draws(number, settings.negatives, settings.dedupe_window)
        self._lost: set[str] = set()  # found in the warm-up
        self._num_lost = 0
        self.first_corrected: dict[str, str] = {}  # the first event of each such count, and why

    @property
    def warm_up_from(self) -> int:
        """The first offset that `warm_up` needs."""
        return max(self.commit.low_offset - self._settings.dedupe_window, 0)

    @property
    def num_lost(self) -> int:
        """How many users' rows were written, and were not stored any more when they were needed:
        at least so many."""
        return self._num_lost + len(self._lost)

    def missing_users(self, decoded: Iterable[Decoded]) -> list[str]:
        """The users of these events whose rows must be given to `add_users` first."""
        return self._rows.users.missing(
            d.event.user_id for d in decoded if not isinstance(d.event, InvalidEvent)
        )

    def add_users(
        self,
        ids: Sequence[str],
        payloads: Sequence[bytes | None],
        word_keys: Sequence[tuple[int, ...]],
        unknown: Sequence[bool] | bool = False,
    ) -> None:
        """Give users' stored rows, None where there is none, the keys of their attributes, and
        which of them nobody announced."""
        rows_N = blank_rows(USER_LAYOUT, len(ids), self.number)
        stored = {place: payload for place, payload in enumerate(payloads) if payload}
        rows_N[list(stored)] = decode_rows(list(stored.values()), USER_LAYOUT)
        self._rows.users.add(ids, rows_N, word_keys, unknown)
        if len(stored) < len(ids):
            without = [id_ for id_, payload in zip(ids, payloads, strict=True) if not payload]
            self._num_lost += self._rows.users.forgotten_among(without)

    def draw_by(self, negatives: Negatives) -> None:
        """Draw by these rules from now on, of another catalogue."""
        self._draws.follow(negatives)

    def tell_user(self, user_id: str, word_keys: tuple[int, ...], is_unknown: bool) -> None:
        """Give a user other attributes, if his row is here."""
        self._rows.users.tell(user_id, word_keys, is_unknown)

    def warm_up(self, decoded: Iterable[Decoded]) -> None:
        """Replay events before the committed offset; their counts are stored already."""
        facts_of_step, valid = StepFacts(), valid_events(decoded)
        copies = self._duplicates(valid)
        for (record, event), is_copy in zip(valid, copies, strict=True):
            if not is_copy and record.offset >= self.commit.low_offset:
                self._join.take_again(event, record, facts_of_step)
        self._draws.count(valid)
        self._find_lost(event for (_, event), copy in zip(valid, copies, strict=True) if not copy)
        self._rows.apply(facts_of_step)
        self._rows.users.end_step()

    def skip(self, gap: Gap) -> None:
        """Go on behind events that are gone from the log before they were processed."""
        log.warning("%s", gap)
        oldest, before = self._join.oldest_offset, self.commit
        self.commit = msgspec.structs.replace(
            before,
            offset=gap.gone.stop,
            low_offset=gap.gone.stop if oldest is None else oldest,
            lost=before.lost + len(gap.gone),
        )

    def _find_lost(self, counted: Iterable[Event]) -> None:
        """Events before the commit are in their users' rows: who has none has lost it.

        A time ahead of the watermark may have been refused then, so it says nothing.
        """
        newest_ms = self.commit.newest_event_ms
        users = {event.user_id for event in counted if event.event_time_ms <= newest_ms}
        self._lost |= self._rows.users.without_events(users)

    def process(self, decoded: Sequence[Decoded], now_ms: int) -> Effects:
        """The effects of new records, in order; the rows of their users must be known.

        Windows close as the log says, so that a click which waits in it is in time however late it
        is read. Without records the caller has read the whole log: then they close by `now_ms`.
        """
        facts_of_step = StepFacts(with_requests=self._settings.samples)
        valid = valid_events(decoded)
        are_copies = self._duplicates(valid)
        times_ms = log_times_ms([record.arrival_ms for record, _ in valid], now_ms)
        for (record, event), time_ms, is_copy in zip(valid, times_ms, are_copies, strict=True):
            self._join.close(time_ms, facts_of_step)
            if not is_copy:
                self._join.take(event, record, facts_of_step)
        if not decoded:
            self._join.close(now_ms, facts_of_step)
        complete = self._not_sent_before(facts_of_step.complete)
        self._draws.count(valid)
        self._draws.draw(facts_of_step.requests)
        changed = self._rows.apply(facts_of_step)
        samples = samples_of(self.number, complete, self._rows)
        effects = Effects(dead_letters(decoded), samples, changed, facts_of_step.shown_ads)
        offset = decoded[-1].record.offset + 1 if decoded else self.commit.offset
        self._advance(offset, facts_of_step, sum(are_copies), effects.dead_letters)
        if any(one.corrected for one in decoded):
            self._count_corrected(decoded, valid, are_copies)
        if self._rows.users.misplaced:
            self._count_misplaced(valid, are_copies)
        self._rows.users.end_step()
        return effects

    def _duplicates(self, valid: Sequence[tuple[Record, Event]]) -> list[bool]:
        """Which of these events are copies of earlier ones."""
        ids = [(event.user_id, event.event_id) for _, event in valid]
        return self._dedupe.duplicates(ids, [record.offset for record, _ in valid])

    def _advance(
        self, offset: int, facts_of_step: StepFacts, duplicates: int, letters: Sequence[DeadLetter]
    ) -> None:
        oldest, before = self._join.oldest_offset, self.commit
        num_lost = [letter.record.num_lost for letter in letters]
        time_ms_N = np.array(facts_of_step.times_ms, np.int64)
        newest_ms_N = np.maximum.accumulate(np.maximum(time_ms_N, before.newest_event_ms))
        self.commit = msgspec.structs.replace(
            before,
            offset=offset,
            low_offset=offset if oldest is None else oldest,
            accepted=before.accepted + len(facts_of_step.times_ms),
            rejected=before.rejected + num_lost.count(0),
            unreadable=before.unreadable + sum(num_lost),
            duplicates=before.duplicates + duplicates,
            late=before.late + int((time_ms_N < newest_ms_N - self._settings.lateness_ms).sum()),
            newest_event_ms=int(newest_ms_N.max(initial=before.newest_event_ms)),
        )

    def _count_corrected(
        self,
        decoded: Sequence[Decoded],
        valid: Sequence[tuple[Record, Event]],
        are_copies: Sequence[bool],
    ) -> None:
        """Count the corrections of accepted events, and name the first of each kind."""
        counts, new = Counter[str](), zip(valid, are_copies, strict=True)
        accepted = {record.offset for (record, _), is_copy in new if not is_copy}
        for one in decoded:
            for kind, reason in one.corrected if one.record.offset in accepted else ():
                counts[kind] += 1
                place = f"partition {self.number}, offset {one.record.offset}"
                self.first_corrected.setdefault(kind, f"{place}: {reason}")
        self.commit = msgspec.structs.replace(
            self.commit,
            ahead=self.commit.ahead + counts[AHEAD],
            unsigned=self.commit.unsigned + counts[UNSIGNED],
        )

    def _count_misplaced(
        self, valid: Sequence[tuple[Record, Event]], are_copies: Sequence[bool]
    ) -> None:
        """Count events of users that belong elsewhere: two workers write such a user's row."""
        elsewhere, new = self._rows.users.misplaced, zip(valid, are_copies, strict=True)
        found = [(r, event.user_id) for (r, event), is_copy in new if not is_copy]
        misplaced = [(r, user_id) for r, user_id in found if user_id in elsewhere]
        if not misplaced:
            return
        before, (record, user_id) = self.commit, misplaced[0]
        home = partition_of(user_id.encode(), self._settings.num_partitions)
        # By its place in the log: who it is belongs into none of ours.
        where = f"partition {self.number}, offset {record.offset}, a key of {len(record.key)} bytes"
        first = f"{where}: its user belongs to partition {home}"
        if not before.misplaced:
            log.warning("an event lies where its user does not belong (%s): docs/topics.md", first)
        self.commit = msgspec.structs.replace(
            before,
            misplaced=before.misplaced + len(misplaced),
            first_misplaced=before.first_misplaced or first,
        )

    def _not_sent_before(self, complete: Sequence[Labelled]) -> list[Labelled]:
        """Without the samples of events whose outcome the user's row includes: these were sent."""
        users = self._rows.users
        requests = [one.request for one in complete if one.request.sequence == SEQUENCE_KNOWN]
        position = users.read(users.indexes(r.event.user_id for r in requests))["position"]
        offset = np.array([request.record.offset for request in requests], np.int64)
        sent = {id(requests[place]) for place in np.flatnonzero(offset <= position)}
        return [labelled for labelled in complete if id(labelled.request) not in sent]
