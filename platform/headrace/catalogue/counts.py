"""Counts of a log and its catalogue, as a loader took them while it read the files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Strangers:
    """Ids of the events that the catalogue's own file does not have; all zero without such a file.

    The last two say of how many of them the file has a near relative, which tells what went wrong.
    """

    num_ids: int = 0
    num_rows: int = 0  # of the log, with such an id
    examples: tuple[str, ...] = ()
    num_with_fraction: int = 0  # "196.0", where the file has "196"
    num_other_zeros: int = 0  # "7", where the file has "007", or the other way round


@dataclass(frozen=True, slots=True)
class Counts:
    """Totals of one load, by file (its name) or by reason ("column: reason") where they are many.

    Every row of the log's files is bad, merged, idle, or told by exactly one event.
    """

    rows: Mapping[str, int] = field(default_factory=dict)  # that were read, bad ones too
    bad_rows: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    num_merged: int = 0  # rows of a time, user and item that another row tells already
    num_idle: int = 0  # rows without an outcome, in a log that does not tell impressions
    num_events: int = 0
    num_impressions: int = 0  # items shown
    num_positives: int = 0  # items of which a wish came, shown or not
    actions: Mapping[str, int] = field(default_factory=dict)  # how often each came
    num_items: int = 0
    num_users: int = 0
    strange_items: Strangers = Strangers()
    strange_users: Strangers = Strangers()
    values_without_outcome: int = 0  # rows with a value of which no outcome came: no grades
    null_words: Mapping[str, int] = field(default_factory=dict)  # "file: column": cells like NULL
    surfaces: Mapping[str, int] = field(default_factory=dict)  # items by surface, the first few
    busiest_user: tuple[str, int] = ("", 0)  # and the rows of the log that are of this user

    @property
    def num_bad_rows(self) -> int:
        """The bad rows of all files."""
        return sum(self.bad_rows.values())
