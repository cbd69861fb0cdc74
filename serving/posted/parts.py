"""The parts of a posted body: one, or several in an array, each with its place for an error."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from headrace.errors import InvalidDocument, InvalidEvent
from serving.http.body import Body

MAX_NESTED: Final = 100_000  # arrays and objects: to parse millions of them would take seconds


def parts_of(
    body: Body, most: int, what: str, invalid: type[InvalidEvent] | type[InvalidDocument]
) -> list[tuple[str, Any]]:
    """The parts of a JSON body, which is one thing or an array of at most so many, with their
    places where there are several; raises the error given for another one."""
    if body.count(b"[") + body.count(b"{") > MAX_NESTED:
        raise invalid(f"more than {MAX_NESTED:,} arrays and objects", field="$")
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise invalid(f"not JSON: {error}", field="$") from None
    if not isinstance(document, list):
        return [("", document)]
    if not 1 <= len(document) <= most:
        raise invalid(f"expected 1 to {most} {what}, got {len(document)}", field="$")
    return [(f"[{number}]", one) for number, one in enumerate(document)]
