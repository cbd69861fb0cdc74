"""Events: the immutable facts that enter headrace, their JSON form and its validation.

Nothing in an event can be part of a cycle, so the collector of cycles need not look at them
(`gc=False`): a stream worker makes tens of thousands a second.

Three kinds exist. An `ImpressionEvent` says which items one request showed to a user; where the
outcome is already known (a replayed log) each item carries it. A `ClickEvent` says that a user
clicked an item, an `ActionEvent` that a user did something else with it; both name the request that
showed it if the client knows it.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import msgspec

from headrace.epoch import EARLIEST_MS, mistaken_unit
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
    action: Literal["like", "long_view"]
    value: Value = 0.0
    request_id: Id | None = None
    surface: Surface = DEFAULT_SURFACE
    version: int = EVENT_VERSION


Event = ImpressionEvent | ClickEvent | ActionEvent

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
    """What `decode` makes of each payload, or the error that it raises; at a fraction of its time.

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
        if wrong := _wrong_time(event.event_time_ms, arrival_ms, max_ahead_ms):
            return InvalidEvent(wrong, field="event_time_ms")
    if type(event) is ImpressionEvent and len(event.items) > 1:
        if len({shown.item_id for shown in event.items}) != len(event.items):
            return InvalidEvent("an item is shown twice in one request", field="items")
    return None


def _of_version(version: int) -> InvalidEvent:
    reason = f"unknown version {str(version)[:20]}, this build reads version {EVENT_VERSION}"
    return InvalidEvent(reason, field="version")


def _wrong_time(time_ms: int, arrival_ms: int, max_ahead_ms: int) -> str | None:
    if unit := mistaken_unit(time_ms):
        return f"expected epoch milliseconds, got {time_ms}: is it in {unit}?"
    ahead_ms = time_ms - arrival_ms
    if ahead_ms <= max_ahead_ms:
        return None
    return (
        f"{time_ms} lies {ahead_ms / 1_000:.1f} s ahead of its arrival at {arrival_ms}, at most "
        f"{max_ahead_ms / 1_000:g} s are allowed: set the clock of the machine that is wrong, the "
        "sender's or the one that received it"
    )


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
