"""The body of an answer that is no success."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType


class Fault(msgspec.Struct, frozen=True):
    """The body of an answer that is no success."""

    error: str
    field: str | UnsetType = UNSET  # the path of a field at fault
    ids: tuple[str, ...] | UnsetType = UNSET  # of the items or users that it is about
    event_ids: tuple[str, ...] | UnsetType = UNSET  # under which events can be sent again
