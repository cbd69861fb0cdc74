"""`headrace check`: a log and its catalogue as they are loaded, and what looks wrong, without
servers."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from headrace import config
from headrace.action import ACTIONS, CLICK
from headrace.catalogue.item import Dataset
from headrace.clock import now_ms
from headrace.commands.flags import (
    add_app_flag,
    add_data_flags,
    data_folder,
    dataset_name,
    require_folder,
)
from headrace.datasets.inspection import Inspection, inspect
from headrace.datasets.registry import load_dataset
from headrace.event import ActionEvent, Event, ImpressionEvent, Shown

NUM_EVENTS: Final = 3  # that are shown
NUM_ITEMS: Final = 4  # of each
NUM_REASONS: Final = 10
NUM_BAD: Final = 5

# What each warning says, and what to do about it.
MEANING: Final[Mapping[str, str]] = {
    "no_impressions": "the log does not tell what was shown: items are drawn beside what was "
    "chosen, and probabilities are relative. Map what was shown, if that is known",
    "all_positive": "all that was shown was chosen, so there is nothing to tell apart. If rows are "
    "no impressions, map the action and no `clicked`: items are drawn beside them then",
    "seconds_as_milliseconds": "times are seconds where milliseconds are mapped",
    "unknown_items": "rows on items that the items' file does not have",
    "unknown_users": "rows of users that the users' file does not have",
    "value_without_outcome": "rows with a value and no outcome: these values count nothing",
    "null_words": "words such as NULL are taken as values",
    "one_user_has_most": "one id has a great share of all rows: are these all guests? Give them "
    "ids of their own, such as the session's, or leave these rows out",
    "one_surface": "all is on one surface. Map a column to `surface`, if the log has pages",
    "times_in_the_future": "times ahead of now: are unit, pattern and zone right?",
}


def add_check(commands: Any) -> None:
    """Add `check` to the command line."""
    check = commands.add_parser(
        "check", help="load a log and its catalogue, count, and say what looks wrong; no servers"
    )
    add_app_flag(check)
    add_data_flags(check)
    check.add_argument("--json", type=Path, metavar="FILE", help="write the counts as JSON")
    check.set_defaults(run=_check)


def _check(options: argparse.Namespace, settings: config.Settings) -> int:
    """0, also with warnings; what cannot be loaded at all is an error."""
    require_folder("--json", options.json)
    dataset = load_dataset(dataset_name(options), data_folder(options))
    found = inspect(dataset, now_ms())
    for line in lines_of(found, dataset):
        print(line)
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
    return 0


def lines_of(found: Inspection, dataset: Dataset) -> Iterator[str]:
    """The counts, the first events, bad rows and warnings, for people."""
    yield (
        f"{found.events:,} events: {found.impressions:,} impressions, {found.positives:,} "
        f"positives; {found.items:,} items, {found.users:,} users"
    )
    yield "the first events:"
    yield from (f"  {told(event)}" for event in islice(dataset.events(), NUM_EVENTS))
    if found.bad_rows:
        by_file = ", ".join(f"{file} {num:,}" for file, num in found.bad_rows.items())
        yield f"bad rows, left out: {by_file}"
    for reason, num in list(found.reasons.items())[:NUM_REASONS]:
        yield f"  {num:,} x {reason}"
    if len(found.reasons) > NUM_REASONS:
        yield f"  and {len(found.reasons) - NUM_REASONS} other reasons"
    for row in dataset.bad_rows[:NUM_BAD]:
        yield f"  {row.file}:{row.line}: {row.column}: {row.reason}"
    for one in found.warnings:
        example = f" ({one.example})" if one.example else ""
        yield f"warning {one.code}, {one.count:,} rows: {MEANING[one.code]}{example}"
    if not found.warnings:
        yield "nothing looks wrong"


def told(event: Event) -> str:
    """An event in a sentence."""
    time = datetime.fromtimestamp(event.event_time_ms / 1_000, UTC).isoformat(timespec="seconds")
    where = f"{time} {event.user_id!r} on {event.surface!r}"
    if isinstance(event, ImpressionEvent):
        items = [_shown(shown) for shown in event.items[:NUM_ITEMS]]
        more = len(event.items) - len(items)
        return f"{where} saw {', '.join([*items, *([f'{more} more'] if more > 0 else [])])}"
    if not isinstance(event, ActionEvent):
        return f"{where}: {CLICK} of {event.item_id!r}"
    back = " taken back" if event.takes_back else ""
    return f"{where}: {event.action} of {event.item_id!r}{back}"


def _shown(shown: Shown) -> str:
    came = [name for name, came in zip(ACTIONS, shown.told, strict=True) if came]
    return f"{shown.item_id!r} ({', '.join(came)})" if came else repr(shown.item_id)
