"""Commits: the offset up to which a partition was processed, and its counts of events."""

from __future__ import annotations

from typing import Annotated

import msgspec

Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)]


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """A commit: the offset up to which a partition was processed, and its counts of events."""

    offset: Count = 0  # the next event to process
    low_offset: Count = 0  # the oldest impression still open, or `offset`
    accepted: Count = 0
    rejected: Count = 0
    unreadable: Count = 0  # messages in batches that are damaged in the log
    duplicates: Count = 0
    late: Count = 0  # accepted, though further behind the watermark than the allowed lateness
    ahead: Count = 0  # accepted, with a time ahead of the arrival that counts in its place
    unsigned: Count = 0  # accepted without the served features, which no replica had signed
    newest_event_ms: Count = 0  # the watermark: the newest event time so far
    lost: Count = 0  # offsets that were gone from the log before they were processed
    misplaced: Count = 0  # accepted, though their users belong to other partitions
    first_misplaced: str = ""  # where the first of these lay
