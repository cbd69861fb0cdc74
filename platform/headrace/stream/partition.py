"""One partition of the event log: what its events do, without any input or output.

Exactness comes from positions. A user's row and an item's partial state carry the offset that they
include, so an event read again does not count again. Samples are made in the order of offsets, so
that whoever reads them can skip those that it took before. `warm_up` brings back, from events
before the committed offset, what is not stored: the ids seen lately and the open impressions.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from headrace.broker import Record
from headrace.errors import InvalidEvent
from headrace.event import ClickEvent, Event, ImpressionEvent
from headrace.features.aggregators import Outcome
from headrace.features.assemble import assemble
from headrace.features.item_table import ItemTable
from headrace.features.served import as_served
from headrace.features.state import Row, fresh_row
from headrace.features.table import CATEGORIES, ITEM_LAYOUT, SCHEMA, USER_LAYOUT
from headrace.keys import category_slots, key
from headrace.sample import LANE_JOINED, LANE_KNOWN, Sample
from headrace.stream.commit import Commit
from headrace.stream.intake import DeadLetter, Decoded, valid_events

MAX_USERS = 100_000  # rows kept in memory per partition; others are read again when they come


@dataclass(slots=True)
class KnownUser:
    """A user's row in memory, with the attributes that go into the samples."""

    row: Row
    token_keys: tuple[int, ...]


@dataclass(slots=True)
class Effects:
    """What some records lead to, to be written in this order: letters, samples, items, users."""

    dead_letters: list[DeadLetter] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    items: dict[str, Row] = field(default_factory=dict)
    users: dict[str, Row] = field(default_factory=dict)


@dataclass(slots=True)
class _OpenImpression:
    offset: int
    deadline_ms: int
    item_ids: tuple[str, ...]
    sample: Sample
    clicked: set[str] = field(default_factory=set)


class Partition:
    """The state of one partition's owner. Time is an argument; rows of users are given to it."""

    def __init__(
        self,
        number: int,
        commit: Commit,
        items: ItemTable,
        categories: Callable[[str], tuple[str, ...]],
        dedupe_window: int,
        click_window_ms: int,
    ) -> None:
        self.number, self.commit = number, commit
        self._items, self._categories = items, categories
        self._dedupe_window, self._click_window_ms = dedupe_window, click_window_ms
        self._seen: OrderedDict[int, int] = OrderedDict()  # event key: offset of its latest copy
        self._open: OrderedDict[str, _OpenImpression] = OrderedDict()
        self._users: OrderedDict[str, KnownUser] = OrderedDict()

    @property
    def warm_up_from(self) -> int:
        """The first offset that `warm_up` needs."""
        return max(self.commit.low_offset - self._dedupe_window, 0)

    def missing_users(self, decoded: Iterable[Decoded]) -> list[str]:
        """The users of these events whose rows must be given to `add_user` first."""
        ids = dict.fromkeys(
            d.event.user_id for d in decoded if not isinstance(d.event, InvalidEvent)
        )
        return [user_id for user_id in ids if user_id not in self._users]

    def add_user(self, user_id: str, row: Row | None, token_keys: tuple[int, ...]) -> None:
        """Give the stored row of a user (None if there is none)."""
        if row is not None and row.partition != self.number:  # the topic was repartitioned
            row.partition, row.position = self.number, -1
        self._users[user_id] = KnownUser(row or fresh_row(self.number, USER_LAYOUT), token_keys)

    def warm_up(self, decoded: Iterable[Decoded]) -> None:
        """Take in events before the committed offset again; what they counted is stored already."""
        for record, event in valid_events(decoded):
            if self._is_duplicate(event, record) or record.offset < self.commit.low_offset:
                continue
            if isinstance(event, ClickEvent):
                impression = self._impression_of(event)
                if impression:
                    impression.clicked.add(event.item_id)
            elif not event.outcome_known:
                self._keep_open(event, record)

    def process(self, decoded: Sequence[Decoded], now_ms: int) -> Effects:
        """The effects of new records, in order; the rows of their users must be known.

        Windows close as the log says, so that a click which waits in it is in time however late it
        is read. Without records the caller has read the whole log: then they close by `now_ms`.
        """
        effects = Effects()
        accepted = duplicates = 0
        for record, event in valid_events(decoded):
            self._close_windows(min(record.arrival_ms, now_ms), effects)
            if self._is_duplicate(event, record):
                duplicates += 1
            else:
                self._apply(event, record, effects)
                accepted += 1
        for letter in decoded:
            if isinstance(letter.event, InvalidEvent):
                effects.dead_letters.append(
                    DeadLetter(letter.record, str(letter.event), letter.event.field)
                )
        if not decoded:
            self._close_windows(now_ms, effects)
        offset = decoded[-1].record.offset + 1 if decoded else self.commit.offset
        self.commit = Commit(
            offset=offset,
            low_offset=next((oldest.offset for oldest in self._open.values()), offset),
            accepted=self.commit.accepted + accepted,
            rejected=self.commit.rejected + len(effects.dead_letters),
            duplicates=self.commit.duplicates + duplicates,
        )
        while len(self._users) > MAX_USERS:
            self._users.popitem(last=False)
        return effects

    def _apply(self, event: Event, record: Record, effects: Effects) -> None:
        if isinstance(event, ClickEvent):
            self._apply_click(event, record, effects)
        elif event.outcome_known:
            clicked = tuple(int(bool(shown.clicked)) for shown in event.items)
            item_ids = tuple(shown.item_id for shown in event.items)
            self._learn(event, record, item_ids, clicked, effects)
        else:
            self._open_impression(event, record, effects)

    def _apply_click(self, click: ClickEvent, record: Record, effects: Effects) -> None:
        """A click closes in on its impression; one without an impression counts as shown too."""
        impression = self._impression_of(click)
        if impression is None:
            self._learn(click, record, (click.item_id,), (1,), effects)
            return
        if click.item_id in impression.clicked:
            return
        impression.clicked.add(click.item_id)
        outcome = self._outcome(click.item_id, click.event_time_ms, shown=0, clicked=1)
        self._count(click.user_id, [(click.item_id, outcome)], record, effects)

    def _learn(
        self,
        event: Event,
        record: Record,
        item_ids: tuple[str, ...],
        clicked: tuple[int, ...],
        effects: Effects,
    ) -> None:
        """A request whose labels are known: first the sample, then the outcome counts."""
        if record.offset > self._users[event.user_id].row.position:
            effects.samples.append(self._sample(event, record, item_ids, clicked, LANE_KNOWN))
        outcomes = [
            (item_id, self._outcome(item_id, event.event_time_ms, shown=1, clicked=label))
            for item_id, label in zip(item_ids, clicked, strict=True)
        ]
        self._count(event.user_id, outcomes, record, effects)

    def _impression_of(self, click: ClickEvent) -> _OpenImpression | None:
        """The open impression that showed what was clicked."""
        impression = self._open.get(click.request_id or "")
        return impression if impression and click.item_id in impression.item_ids else None

    def _open_impression(self, event: ImpressionEvent, record: Record, effects: Effects) -> None:
        """A request whose labels will come: keep it open, and count what it showed."""
        self._keep_open(event, record)
        outcomes = []
        for shown in event.items:
            clicked, settled = int(bool(shown.clicked)), shown.clicked is not None
            outcome = self._outcome(shown.item_id, event.event_time_ms, 1, clicked, settled)
            outcomes.append((shown.item_id, outcome))
        self._count(event.user_id, outcomes, record, effects)

    def _keep_open(self, event: ImpressionEvent, record: Record) -> None:
        """Keep the features of now until the window closes.

        A second impression of an open request adds to the counts, not to the samples.
        """
        if event.request_id in self._open:
            return
        item_ids = tuple(shown.item_id for shown in event.items)
        sample = self._sample(event, record, item_ids, (0,) * len(item_ids), LANE_JOINED)
        deadline_ms = record.arrival_ms + self._click_window_ms
        clicked = {shown.item_id for shown in event.items if shown.clicked}
        self._open[event.request_id] = _OpenImpression(
            record.offset, deadline_ms, item_ids, sample, clicked
        )

    def _close_windows(self, now_ms: int, effects: Effects) -> None:
        """Emit the samples of impressions whose attribution window is over, oldest first."""
        while self._open:
            request_id, impression = next(iter(self._open.items()))
            if impression.deadline_ms > now_ms:
                return
            clicked = tuple(int(item in impression.clicked) for item in impression.item_ids)
            effects.samples.append(msgspec.structs.replace(impression.sample, clicked=clicked))
            del self._open[request_id]

    def _count(
        self,
        user_id: str,
        outcomes: Sequence[tuple[str, Outcome]],
        record: Record,
        effects: Effects,
    ) -> None:
        """Add outcomes to the user's row and the items' partial states that do not have them."""
        row = self._users[user_id].row
        if record.offset > row.position:
            for _, outcome in outcomes:
                USER_LAYOUT.add(row.state_W, outcome)
                row.event_time_ms = max(row.event_time_ms, outcome.time_ms)
            row.position = record.offset
            effects.users[user_id] = row
        for item_id, outcome in outcomes:
            partial = self._items.partial(item_id, self.number)
            if record.offset > partial.position:
                ITEM_LAYOUT.add(partial.state_W, outcome)
                partial.event_time_ms = max(partial.event_time_ms, outcome.time_ms)
                partial.position = record.offset
                effects.items[item_id] = partial

    def _sample(
        self,
        event: Event,
        record: Record,
        item_ids: tuple[str, ...],
        clicked: tuple[int, ...],
        lane: int,
    ) -> Sample:
        user = self._users[event.user_id]
        slots = [category_slots(self._categories(i), CATEGORIES.num_slots) for i in item_ids]
        served = event.served if isinstance(event, ImpressionEvent) else None
        features = as_served(served, len(item_ids)) or assemble(
            user.row.state_W, self._items.states_NW(item_ids), slots, event.event_time_ms
        )
        return Sample(
            source_partition=self.number,
            source_offset=record.offset,
            lane=lane,
            schema=SCHEMA,
            request_id=event.request_id or event.event_id,
            event_time_ms=event.event_time_ms,
            arrival_ms=record.arrival_ms,
            user_key=key(event.user_id),
            user_token_keys=user.token_keys,
            item_keys=tuple(key(item_id) for item_id in item_ids),
            clicked=clicked,
            dense=features.dense_NF.tobytes(),
            history=features.history_3T.tobytes(),
        )

    def _outcome(
        self, item_id: str, time_ms: int, shown: int, clicked: int, settled: bool = True
    ) -> Outcome:
        slots = category_slots(self._categories(item_id), CATEGORIES.num_slots)
        return Outcome(key(item_id), time_ms, shown, clicked, settled, slots)

    def _is_duplicate(self, event: Event, record: Record) -> bool:
        """Whether a copy of the event lies at most `dedupe_window` offsets back.

        A property of the log alone, so that a restart decides as the first run did.
        """
        event_key = key(event.event_id)
        earlier = self._seen.pop(event_key, None)
        self._seen[event_key] = record.offset
        oldest_allowed = record.offset - self._dedupe_window
        while next(iter(self._seen.values())) < oldest_allowed:
            self._seen.popitem(last=False)
        return earlier is not None and earlier >= oldest_allowed
