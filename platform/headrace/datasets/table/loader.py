"""A user's own data: files of events, items and users, described by `headrace.yaml`.

Every row is checked by itself. A row that cannot be used is counted, a few of each reason are kept,
and the others go on. The log is read in chunks, once to count it and again in each pass over its
events; items and users are held in memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import Final, NamedTuple

from headrace.catalogue.counts import Counts
from headrace.catalogue.item import Content, Dataset, Item, User
from headrace.datasets.table import mapping as table_mapping
from headrace.datasets.table.entities.items import Items
from headrace.datasets.table.entities.source import Source
from headrace.datasets.table.entities.strangers import strangers
from headrace.datasets.table.entities.users import users
from headrace.datasets.table.fitting import check
from headrace.datasets.table.guess import NULL_WORDS
from headrace.datasets.table.log.fields import GUEST
from headrace.datasets.table.log.log import Log
from headrace.datasets.table.log.tally import Tally
from headrace.datasets.table.mapping import EventColumns, ItemColumns, TableMapping, UserColumns
from headrace.errors import DatasetError

MAX_SURFACES: Final = 20  # that are told one by one


class Seen(NamedTuple):
    """The users and items of the log, with the rows of each."""

    users: Mapping[str, int]
    items: Mapping[str, int]


def load(folder: Path | None) -> Dataset:
    """The user's tables in `folder`, as `headrace.yaml` there describes them.

    With an items or users file, the catalogue is what that file lists; without one, it is what the
    events name. Raises `ConfigError` when the mapping does not fit the files, `DatasetError` when
    no row is usable.
    """
    if folder is None:
        raise DatasetError("dataset table is your own data: give its folder with --data FOLDER")
    mapping = table_mapping.read(folder)
    check(folder, mapping)
    log = Log(folder, mapping.events)
    tally = log.tally
    if not tally.num_events:
        raise DatasetError(_nothing_usable(folder, mapping.events.file, tally))
    seen = Seen(tally.users.by_id(), tally.items.by_id())
    items = _items(folder, mapping.items, tally) if mapping.items else map(Item, seen.items)
    people = _users(folder, mapping.users, tally) if mapping.users else map(User, seen.users)
    dataset = Dataset(
        name="table",
        items=tuple(items),
        users=tuple(people),
        events=log.events,
        num_events=tally.num_events,
        start_ms=tally.start_ms or 0,
        end_ms=tally.end_ms,
        contents=lambda: _contents(folder, mapping.items),
        time_zone=mapping.events.time.zone or "UTC",
    )
    counts = _counts(dataset, mapping, tally, seen)
    return replace(dataset, counts=counts, bad_rows=tally.bad.examples())


def _items(folder: Path, part: ItemColumns, tally: Tally) -> tuple[Item, ...]:
    own = Tally()
    items = tuple(Items(folder, part, own).items())
    if not items:
        raise DatasetError(_nothing_usable(folder, part.file, own))
    tally.absorb(own)
    return items


def _users(folder: Path, part: UserColumns, tally: Tally) -> tuple[User, ...]:
    own = Tally()
    found = tuple(users(Source(folder, part, own), part))
    tally.absorb(own)
    return found


def _contents(folder: Path, part: ItemColumns | None) -> Iterator[Content]:
    """The encoders' input in the items file; bad rows were counted when the items were read."""
    return iter(()) if part is None else Items(folder, part, Tally()).contents()


def _counts(dataset: Dataset, mapping: TableMapping, tally: Tally, seen: Seen) -> Counts:
    """The counts of a load, with the ids of the log that the catalogue's own files lack."""
    items = {item.item_id for item in dataset.items} if mapping.items else None
    people = {user.user_id for user in dataset.users} if mapping.users else None
    members = {one: num for one, num in seen.users.items() if not one.startswith(GUEST)}
    return Counts(
        rows=dict(tally.rows),
        bad_rows=dict(tally.bad.by_file),
        reasons=tally.bad.reasons(),
        num_merged=tally.num_merged,
        num_idle=tally.num_idle,
        num_events=tally.num_events,
        num_impressions=tally.num_impressions,
        num_positives=tally.num_positives,
        actions=dict(tally.actions),
        num_items=len(dataset.items),
        num_users=len(dataset.users),
        strange_items=strangers(seen.items, items),
        strange_users=strangers(members, people),
        values_without_outcome=tally.values_without_outcome,
        null_words={**_null_words(mapping.events, seen), **tally.null_words},
        surfaces=dict(Counter(tally.surfaces).most_common(MAX_SURFACES)),
        busiest_user=max(seen.users.items(), key=itemgetter(1)),
    )


def _null_words(part: EventColumns, seen: Seen) -> dict[str, int]:
    """The rows of the log with an id that reads like none, by file and column."""
    file = part.file if isinstance(part.file, str) else ", ".join(part.file)
    user = part.user_id if isinstance(part.user_id, str) else part.user_id.column
    item = part.item_ids.column if part.item_ids else part.item_id
    counts = {
        f"{file}: {column}": sum(n for one, n in ids.items() if one.strip().lower() in NULL_WORDS)
        for column, ids in ((user, seen.users), (item, seen.items))
    }
    return {place: number for place, number in counts.items() if number}


def _nothing_usable(folder: Path, files: str | tuple[str, ...], tally: Tally) -> str:
    name = files if isinstance(files, str) else ", ".join(files)
    examples = tally.bad.examples()
    if not examples:
        told = f", {tally.num_idle} rows of which no action came" if tally.num_idle else ""
        return f"{folder / name}: no rows{told}"
    first = examples[0]
    example = f"the first is line {first.line}, {first.column}: {first.reason}"
    return f"{folder / name}: no usable row; {tally.bad.by_file.total()} bad rows, {example}"
