"""Events: the immutable facts that enter headrace, their JSON form and its validation.

Nothing in an event can be part of a cycle, so the collector of cycles need not look at them
(`gc=False`): a stream worker makes tens of thousands a second.

Three kinds exist. An `ImpressionEvent` says which items a request showed to a user, and what came
of them where that is known (a replayed log). A `ClickEvent` says that a user clicked an item, an
`ActionEvent` that it was another action of `headrace.action.TABLE`; both name the request if known.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection, Mapping, Sequence
from operator import attrgetter
from typing import Annotated, Any, Final

import msgspec

from headrace.action import CLICK, FIELDS, TABLE
from headrace.epoch import EARLIEST_MS, wrong_time
from headrace.errors import InvalidEvent

EVENT_VERSION: Final = 1
POSITION_UNKNOWN: Final = -1
DEFAULT_SURFACE: Final = "home"
MAX_ITEMS: Final = 1_000
MAX_SURFACE: Final = 128  # characters of the name of a surface
MAX_EVENT_BYTES: Final = 1_000_000  # of an event as JSON: brokers take 1,048,576 by default
MAX_AHEAD_MS: Final = 300_000  # clocks differ: how far ahead of its arrival an event's time may be
MAX_VALUE: Final = 1e9  # of an outcome, and its negative the least

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Surface = Annotated[str, msgspec.Meta(max_length=MAX_SURFACE)]
EpochMs = Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)]  # holds nanoseconds sent by mistake
Version = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]  # of a model
Value = Annotated[float, msgspec.Meta(ge=-MAX_VALUE, le=MAX_VALUE)]  # paid, the share watched
Told = tuple[bool | None, ...]  # of each action of the table


class _Strict(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False
):
    """Fields that are not known are an error, fields at their default are not written."""


class Shown(_Strict, frozen=True):
    """One item of a request's slate as it was shown."""

    item_id: Id
    position: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] | None = None  # None: not known
    clicked: bool | None = None  # None: not known yet, a ClickEvent may follow
    liked: bool | None = None
    long_viewed: bool | None = None
    value: Value = 0.0
    campaign_id: Id | None = None  # the campaign, where the item was shown as an ad
    propensity: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    outcomes: dict[str, bool] | None = None  # of the actions that have no field here

    @property
    def told(self) -> Told:
        """[A]: whether each action of the table came, None where that is not said."""
        fields: Told = _fields(self)
        if self.outcomes is None:
            return fields
        named = zip(fields, _TOLD_BY, strict=True)
        return tuple([came if field else self.outcomes.get(name) for came, (field, name) in named])


class Served(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The features that the ranker read when it made this slate, so that training reads the same.

    Ignored where no replica signed them, where `schema` is not that of what the reader's ranker
    reads, or the sizes do not fit.
    """

    schema: int
    dense: bytes  # float32 [N, F]
    history: bytes  # int64 [3, T]
    signature: bytes = b""  # `headrace.features.serving_key`


class ImpressionEvent(_Strict, frozen=True, tag="impression"):
    """The items that one request showed to a user, in one message."""

    event_id: Id
    event_time_ms: EpochMs
    user_id: Id
    request_id: Id
    items: Annotated[tuple[Shown, ...], msgspec.Meta(min_length=1, max_length=MAX_ITEMS)]
    surface: Surface = DEFAULT_SURFACE
    model_version: Version | None = None
    served: Served | None = None
    version: int = EVENT_VERSION

    @property
    def positions(self) -> tuple[int, ...]:
        """Where each item stood, `POSITION_UNKNOWN` where that is not known; empty if nowhere."""
        for shown in self.items:
            if shown.position is not None:
                break
        else:
            return ()
        places = [shown.position for shown in self.items]
        return tuple([POSITION_UNKNOWN if place is None else place for place in places])

    @property
    def outcome_known(self) -> bool:
        """True when every item already says whether it was clicked."""
        for shown in self.items:  # a loop: twice as fast as all() for the usual single item
            if shown.clicked is None:
                return False
        return True


class ClickEvent(_Strict, frozen=True, tag="click"):
    """A user clicked an item; `request_id` names the impression when the client knows it."""

    event_id: Id
    event_time_ms: EpochMs
    user_id: Id
    item_id: Id
    request_id: Id | None = None
    surface: Surface = DEFAULT_SURFACE
    version: int = EVENT_VERSION


class ActionEvent(_Strict, frozen=True, tag="action"):
    """A user did something with an item beside clicking it."""

    event_id: Id
    event_time_ms: EpochMs
    user_id: Id
    item_id: Id
    action: Id
    value: Value = 0.0
    request_id: Id | None = None
    surface: Surface = DEFAULT_SURFACE
    version: int = EVENT_VERSION


Event = ImpressionEvent | ClickEvent | ActionEvent


def told_by(came: Mapping[str, bool]) -> dict[str, Any]:
    """The fields of `Shown` that tell whether these actions came."""
    fields = {field: came[name] for field, name in _TOLD_BY if field and name in came}
    others = {name: came[name] for field, name in _TOLD_BY if not field and name in came}
    return {**fields, "outcomes": others} if others else fields


_TOLD_BY: Final = [(row.field, row.name) for row in TABLE]
# For actions without a field `outcomes`, which is None where it says nothing. One is no tuple.
_get_fields: Final = attrgetter(*(row.field or "outcomes" for row in TABLE))
_fields: Final = _get_fields if len(TABLE) > 1 else lambda shown: (_get_fields(shown),)
_IN_OUTCOMES: Final = {row.name for row in TABLE if not row.field}
_OF_NO_ACTION: Final = set(FIELDS) - {row.field for row in TABLE}
_WITH_EVENTS: Final = {row.name: row for row in TABLE if row.name != CLICK}

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Event)
_raw_decoder = msgspec.json.Decoder()
_PATH = re.compile(r" - at `\$?\.?(?P<path>[^`]*)`")
_MISSING = re.compile(r"missing required field `(?P<name>\w+)`")
_UNKNOWN = re.compile(r"contains unknown field `(?P<name>.*?)`(?= - at `|$)", re.DOTALL)


def encode(event: Event) -> bytes:
    """The event as the JSON that `decode` reads back to an equal event."""
    return _encoder.encode(event)


def decode(payload: bytes, arrival_ms: int, max_ahead_ms: int = MAX_AHEAD_MS) -> Event:
    """The event in `payload`; raises `InvalidEvent` naming the field that is wrong.

    Its time may lie `max_ahead_ms` ahead of its arrival: one sender with a wrong clock must not
    move everybody's windows into the future.
    """
    try:
        event: Event = _decoder.decode(payload)
    except msgspec.ValidationError as error:
        raise _invalid(error, payload) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidEvent(f"not JSON: {error}", field="$") from None
    return _checked(event, arrival_ms, max_ahead_ms)


def decode_batch(
    payloads: Sequence[bytes], arrivals_ms: Sequence[int], max_ahead_ms: int = MAX_AHEAD_MS
) -> list[Event | InvalidEvent]:
    """Decode payloads as `decode` does, a bad one to its error; at a fraction of its time.

    All are parsed together, as lines: no event can reach from one payload into the next, because
    an object may not begin where another has just ended. Where that fails, each goes by itself.
    """
    try:
        whole = {payload[:1] + payload[-1:] for payload in payloads} <= {b"{}"}
        events = _decoder.decode_lines(b"\n".join(payloads)) if whole else []
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        events = []
    if len(events) != len(payloads):
        each = zip(payloads, arrivals_ms, strict=True)
        return [_decoded(payload, arrival_ms, max_ahead_ms) for payload, arrival_ms in each]
    return [
        _fault(event, arrival_ms, max_ahead_ms) or event
        for event, arrival_ms in zip(events, arrivals_ms, strict=True)
    ]


def accept(document: Any, now_ms: int, max_ahead_ms: int = MAX_AHEAD_MS) -> Event:
    """An event sent by a client, as parsed JSON: `event_id` and `event_time_ms` may be absent.

    The id is then made here and the time is `now_ms`. Raises `InvalidEvent` like `decode`.
    """
    if not isinstance(document, dict):
        raise InvalidEvent(f"expected an object, got {type(document).__name__}", field="$")
    filled = {"event_id": uuid.uuid4().hex, "event_time_ms": now_ms, **document}
    try:
        event = msgspec.convert(filled, type=Event)
    except msgspec.ValidationError as error:
        raise _invalid(error, msgspec.json.encode(document)) from None
    return _checked(event, now_ms, max_ahead_ms)


def _decoded(payload: bytes, arrival_ms: int, max_ahead_ms: int) -> Event | InvalidEvent:
    try:
        return decode(payload, arrival_ms, max_ahead_ms)
    except InvalidEvent as error:
        return error


def _checked(event: Event, arrival_ms: int, max_ahead_ms: int) -> Event:
    if fault := _fault(event, arrival_ms, max_ahead_ms):
        raise fault
    return event


def _fault(event: Event, arrival_ms: int, max_ahead_ms: int) -> InvalidEvent | None:
    if event.version != EVENT_VERSION:
        return _of_version(event.version)
    if not EARLIEST_MS <= event.event_time_ms <= arrival_ms:
        if wrong := wrong_time(event.event_time_ms, arrival_ms, max_ahead_ms):
            return InvalidEvent(wrong, field="event_time_ms")
    if type(event) is ImpressionEvent:
        return _fault_of_items(event.items)
    return _fault_of_action(event) if type(event) is ActionEvent else None


def _fault_of_items(items: Sequence[Shown]) -> InvalidEvent | None:
    if len(items) > 1 and len({shown.item_id for shown in items}) != len(items):
        return InvalidEvent("an item is shown twice in one request", field="items")
    for place, shown in enumerate(items):
        if shown.outcomes is not None or _OF_NO_ACTION:
            if fault := _fault_of_outcomes(shown, f"items[{place}]"):
                return fault
    return None


def _fault_of_outcomes(shown: Shown, path: str) -> InvalidEvent | None:
    for field in _OF_NO_ACTION:
        if getattr(shown, field) is not None:
            return InvalidEvent("tells of no action of the table", field=f"{path}.{field}")
    if unknown := (shown.outcomes or {}).keys() - _IN_OUTCOMES:
        return InvalidEvent(_unknown(min(unknown), _IN_OUTCOMES), field=f"{path}.outcomes")
    return None


def _fault_of_action(event: ActionEvent) -> InvalidEvent | None:
    row = _WITH_EVENTS.get(event.action)
    if row is None:
        return InvalidEvent(_unknown(event.action, _WITH_EVENTS), field="action")
    if event.value and not row.value:
        return InvalidEvent(f"got {event.value:g}, a {row.name} has no value", field="value")
    return None


def _unknown(action: str, known: Collection[str]) -> str:
    return f"got {action[:40]!r}, expected one of: {', '.join(sorted(known)) or 'none'}"


def _of_version(version: int) -> InvalidEvent:
    reason = f"unknown version {str(version)[:20]}, this build reads version {EVENT_VERSION}"
    return InvalidEvent(reason, field="version")


def _invalid(error: msgspec.ValidationError, payload: bytes) -> InvalidEvent:
    """The error with the path of the field; a wrong version is named before its consequences."""
    try:
        document = _raw_decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        document = None  # the bytes after the field at fault may be anything
    version = document.get("version", EVENT_VERSION) if isinstance(document, dict) else None
    if isinstance(version, int) and version != EVENT_VERSION:
        return _of_version(version)
    text = str(error)
    path = _PATH.search(text)
    name = _MISSING.search(text) or _UNKNOWN.search(text)
    parts = [path["path"] if path else "", name["name"] if name else ""]
    return InvalidEvent(_PATH.sub("", text), field=".".join(p for p in parts if p) or "$")
