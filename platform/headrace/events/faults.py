"""Faults of events: an event, or the text of one that cannot be read, in; the error that names the
field out.

Sizes and types are checked when an event is read; of what was read, the table of actions says what
may be told.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from headrace.action import CLICK, FIELDS, GRADE, MONEY, TABLE
from headrace.errors import InvalidEvent

if TYPE_CHECKING:
    from headrace.event import ActionEvent, Shown

EVENT_VERSION: Final = 1
TYPES: Final = ("impression", CLICK, "action")

_IN_OUTCOMES: Final = {row.name for row in TABLE if not row.field}
_OF_NO_ACTION: Final = set(FIELDS) - {row.field for row in TABLE}
_WITH_EVENTS: Final = {row.name: row for row in TABLE if row.name != CLICK}
_raw_decoder = msgspec.json.Decoder()
_PATH = re.compile(r" - at `\$?\.?(?P<path>[^`]*)`")
_MISSING = re.compile(r"missing required field `(?P<name>\w+)`")
_UNKNOWN = re.compile(r"contains unknown field `(?P<name>.*?)`(?= - at `|$)", re.DOTALL)


def fault_of_items(items: Sequence[Shown]) -> InvalidEvent | None:
    """The first fault of the items of an impression."""
    if len(items) > 1 and len({shown.item_id for shown in items}) != len(items):
        return InvalidEvent("an item is shown twice in one request", field="items")
    for place, shown in enumerate(items):
        if shown.outcomes is not None or _OF_NO_ACTION:
            if fault := _fault_of_outcomes(shown, f"items[{place}]"):
                return fault
        if shown.amount_micros is not None or shown.currency is not None:
            if fault := _fault_of_money(shown, f"items[{place}].", _paid_for(shown)):
                return fault
    return None


def _fault_of_outcomes(shown: Shown, path: str) -> InvalidEvent | None:
    for field in _OF_NO_ACTION:
        if getattr(shown, field) is not None:
            return InvalidEvent("tells of no action of the table", field=f"{path}.{field}")
    if unknown := (shown.outcomes or {}).keys() - _IN_OUTCOMES:
        return InvalidEvent(_unknown(min(unknown), _IN_OUTCOMES), field=f"{path}.outcomes")
    return None


def fault_of_action(event: ActionEvent) -> InvalidEvent | None:
    """The first fault of an action's event."""
    row = _WITH_EVENTS.get(event.action)
    if row is None:
        return InvalidEvent(_unknown(event.action, _WITH_EVENTS), field="action")
    if event.value and row.value != GRADE:
        instead = ": money is told in amount_micros" if row.value == MONEY else ""
        reason = f"got {event.value:g}, an event of {row.name} has no grade{instead}"
        return InvalidEvent(reason, field="value")
    if event.amount_micros is not None or event.currency is not None:
        return _fault_of_money(event, "", row.value == MONEY)
    return None


def _fault_of_money(told: Shown | ActionEvent, path: str, is_paid: bool) -> InvalidEvent | None:
    if told.amount_micros is None or told.currency is None:
        missing = "amount_micros" if told.amount_micros is None else "currency"
        return InvalidEvent("missing: an amount comes with its currency", field=path + missing)
    if not is_paid:
        known = ", ".join(row.name for row in TABLE if row.value == MONEY) or "none"
        reason = f"got {told.amount_micros}, no action that carries money came; such are: {known}"
        return InvalidEvent(reason, field=f"{path}amount_micros")
    return None


def _paid_for(shown: Shown) -> bool:
    """Whether an action that carries money came."""
    told = zip(shown.told, TABLE, strict=True)
    return any(came and row.value == MONEY for came, row in told)


def _unknown_type(name: str) -> str:
    hint = '; this is {"type": "action", "action": "' + name + '"}' if name in _WITH_EVENTS else ""
    return _unknown(name, TYPES) + hint


def _unknown(action: str, known: Collection[str]) -> str:
    return f"got {action[:40]!r}, expected one of: {', '.join(sorted(known)) or 'none'}"


def fault_of_version(version: int) -> InvalidEvent:
    """The error for another version than this build's."""
    reason = f"unknown version {str(version)[:20]}, this build reads version {EVENT_VERSION}"
    return InvalidEvent(reason, field="version")


def fault_of_text(error: msgspec.ValidationError, payload: bytes) -> InvalidEvent:
    """The error with the path of the field; a wrong version is named before its consequences."""
    try:
        document = _raw_decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        document = None  # the bytes after the field at fault may be anything
    version = document.get("version", EVENT_VERSION) if isinstance(document, dict) else None
    if isinstance(version, int) and version != EVENT_VERSION:
        return fault_of_version(version)
    text = str(error)
    path = _PATH.search(text)
    name = _MISSING.search(text) or _UNKNOWN.search(text)
    if path and path["path"] == "type" and isinstance(document, dict):
        return InvalidEvent(_unknown_type(str(document.get("type"))), field="type")
    parts = [path["path"] if path else "", name["name"] if name else ""]
    return InvalidEvent(_PATH.sub("", text), field=".".join(p for p in parts if p) or "$")
