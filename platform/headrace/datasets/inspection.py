"""A look at a log before anything learns of it: counts, and what looks wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec

from headrace.action import CLICK, TABLE
from headrace.catalogue.counts import Counts, Strangers
from headrace.catalogue.item import Dataset
from headrace.event import ActionEvent, ClickEvent, Event, ImpressionEvent, Shown

MAX_SURFACES: Final = 1_000
BUSY_SHARE: Final = 0.1  # of all rows: one user alone, among so many others
BUSY_USERS: Final = 20
IN_SECONDS: Final = "a time in seconds"  # in the reason of a bad row
WISHES: Final = frozenset(row.name for row in TABLE if row.wish)


class LogWarning(msgspec.Struct, frozen=True):
    """Something that looks wrong: how often, and the first of it."""

    code: str
    count: int
    example: str = ""


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """The counts of a log and its catalogue, and all that looks wrong."""

    events: int
    impressions: int  # items shown
    positives: int  # items of which a wish came, shown or not
    items: int
    users: int
    bad_rows: dict[str, int]  # by file
    reasons: dict[str, int]
    warnings: tuple[LogWarning, ...]


@dataclass(slots=True)
class _Tally:
    """What one pass over the events counts."""

    now_ms: int
    num_impressions: int = 0
    num_chosen: int = 0  # impressions of which a wish came
    num_alone: int = 0  # wishes that no impression tells
    num_ahead: int = 0
    first_ahead: str = ""
    rows_of: Counter[str] = field(default_factory=Counter)  # by user
    rows_on: Counter[str] = field(default_factory=Counter)  # by surface, the first few

    def add(self, event: Event) -> None:
        num = len(event.items) if isinstance(event, ImpressionEvent) else 1
        self.rows_of[event.user_id] += num
        if event.surface in self.rows_on or len(self.rows_on) < MAX_SURFACES:
            self.rows_on[event.surface] += num
        if event.event_time_ms > self.now_ms:
            self.num_ahead += num
            self.first_ahead = self.first_ahead or f"{event.user_id} at {event.event_time_ms} ms"
        if isinstance(event, ImpressionEvent):
            self.num_impressions += num
            self.num_chosen += sum(map(_is_chosen, event.items))
        else:
            self.num_alone += _is_wish(event)


def inspect(dataset: Dataset, now_ms: int) -> Inspection:
    """The counts and warnings of a dataset, as of now."""
    tally = _Tally(now_ms)
    for event in dataset.events():
        tally.add(event)
    counts = dataset.counts or _counts_of(dataset)
    return Inspection(
        events=dataset.num_events,
        impressions=tally.num_impressions,
        positives=tally.num_chosen + tally.num_alone,
        items=len(dataset.items),
        users=len(dataset.users),
        bad_rows=dict(counts.bad_rows),
        reasons=dict(counts.reasons),
        warnings=tuple(one for one in _warnings(tally, counts) if one.count),
    )


def _is_chosen(shown: Shown) -> bool:
    named = zip(TABLE, shown.told, strict=True)
    return any(came and row.wish for row, came in named)


def _is_wish(event: ClickEvent | ActionEvent) -> bool:
    """Whether it says that an item was chosen; what was taken back was not, in the end."""
    if isinstance(event, ClickEvent):
        return CLICK in WISHES
    return event.action in WISHES and not event.takes_back


def _counts_of(dataset: Dataset) -> Counts:
    """The bad rows of a loader that counts nothing else."""
    return Counts(
        bad_rows=Counter(row.file for row in dataset.bad_rows),
        reasons=Counter(f"{row.column}: {row.reason}" for row in dataset.bad_rows),
    )


def _warnings(tally: _Tally, counts: Counts) -> Iterator[LogWarning]:
    """All that may look wrong; what does not has the count 0."""
    if not tally.num_impressions:
        yield LogWarning("no_impressions", tally.num_alone)
    if tally.num_chosen == tally.num_impressions:
        yield LogWarning("all_positive", tally.num_impressions)
    seconds = {reason: num for reason, num in counts.reasons.items() if IN_SECONDS in reason}
    yield LogWarning("seconds_as_milliseconds", sum(seconds.values()), next(iter(seconds), ""))
    yield _unknown("unknown_items", counts.strange_items)
    yield _unknown("unknown_users", counts.strange_users)
    yield LogWarning("value_without_outcome", counts.values_without_outcome)
    words = counts.null_words
    yield LogWarning("null_words", sum(words.values()), next(iter(words), ""))
    yield _busiest(tally.rows_of)
    if len(tally.rows_on) == 1:
        yield LogWarning("one_surface", tally.rows_on.total(), next(iter(tally.rows_on)))
    yield LogWarning("times_in_the_future", tally.num_ahead, tally.first_ahead)


def _unknown(code: str, strangers: Strangers) -> LogWarning:
    """Rows on ids in no file, with a guess at the reason."""
    told = [f"{strangers.num_ids:,} ids", ", ".join(map(repr, strangers.examples))]
    if strangers.num_other_zeros:
        told.append(f"lost leading zeros? ({strangers.num_other_zeros:,} ids)")
    if strangers.num_with_fraction:
        found = next((id_ for id_ in strangers.examples if id_.endswith(".0")), "196.0")
        told.append(f"{found} for {found[:-2]}? ({strangers.num_with_fraction:,} ids)")
    return LogWarning(code, strangers.num_rows, "; ".join(filter(None, told)))


def _busiest(rows_of: Counter[str]) -> LogWarning:
    (user_id, num), *_ = rows_of.most_common(1) or [("", 0)]
    is_all_guests = len(rows_of) > BUSY_USERS and num >= BUSY_SHARE * rows_of.total()
    example = f"{user_id!r} has {num:,} of {rows_of.total():,}"
    return LogWarning("one_user_has_most", num if is_all_guests else 0, example)
