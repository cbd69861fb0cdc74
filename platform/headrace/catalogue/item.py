"""A loader's dataset: a catalogue of items and users, and a log of events in order of time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from headrace.catalogue.counts import Counts
from headrace.event import Event


@dataclass(frozen=True, slots=True)
class Item:
    """Static content of one item, known before any behaviour."""

    item_id: str
    title: str = ""
    categories: tuple[str, ...] = ()  # genres, tags: what targeting and crosses use
    attributes: tuple[str, ...] = ()  # further "name=value" words
    price_micros: int | None = None
    currency: str = ""
    stock: int | None = None
    available_from_ms: int | None = None
    available_until_ms: int | None = None  # the first moment at which it is not
    min_age: int | None = None  # of who may see it, in years


@dataclass(frozen=True, slots=True)
class Content:
    """The encoders' input of one item, beside its title and categories; None where it has none."""

    item_id: str
    description: str | None = None
    vector: tuple[float, ...] | None = None  # features from elsewhere; NaN is an unreadable one
    # By modality (`content.FILES`): an encoded picture, sound or film, or the path of its file.
    files: Mapping[str, bytes | Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class User:
    """Static attributes of one user, as "name=value" words (numbers come in buckets)."""

    user_id: str
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row of the user's files that could not be read, and why."""

    file: str
    line: int  # 1 is the first data row after the header
    column: str
    reason: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """A log ready to be replayed.

    `events()` starts a new pass over the log, in event-time order, each time it is called; the
    event ids are the same in every pass. `contents()` starts a new pass over what is known of the
    items' contents, in any order; pictures need not fit into memory.
    """

    name: str
    items: tuple[Item, ...]
    users: tuple[User, ...]
    events: Callable[[], Iterator[Event]]
    num_events: int
    start_ms: int  # event time of the first event
    end_ms: int  # event time of the last event
    bad_rows: tuple[BadRow, ...] = ()  # a few of each reason; `counts` has the totals
    contents: Callable[[], Iterator[Content]] = lambda: iter(())
    time_zone: str = "UTC"  # whose midnights begin the days of the log
    counts: Counts | None = None  # of a log of the user's own files

    @property
    def num_bad_rows(self) -> int:
        """The rows of the user's files that were left out."""
        return self.counts.num_bad_rows if self.counts else len(self.bad_rows)
