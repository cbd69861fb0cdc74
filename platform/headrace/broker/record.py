"""Records: messages as they lie in the log."""

from __future__ import annotations

import msgspec

Headers = tuple[tuple[str, bytes], ...]


class Record(msgspec.Struct, frozen=True, gc=False):
    """One message as it lies in the log; `arrival_ms` is when its producer sent it.

    A batch that is damaged is one record without key and value, which stands for `num_lost`
    messages up to its own offset.
    """

    partition: int
    offset: int
    arrival_ms: int
    key: bytes
    value: bytes
    num_lost: int = 0
    headers: Headers = ()
