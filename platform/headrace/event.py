"""Events: the immutable facts that enter headrace, their JSON form and its validation.

Nothing in an event can be part of a cycle, so the collector of cycles need not look at them
(`gc=False`): a stream worker makes tens of thousands a second. For the same reason an event that
tells no context has None, and not an empty dictionary.

Three kinds exist. An `ImpressionEvent` says which items a request showed to a user, and what came
of them where that is known (a replayed log). A `ClickEvent` says that a user clicked an item, an
`ActionEvent` that it was another action of `headrace.action.TABLE`, or that he took it back; both
name the request if known.

A number that comes with an outcome is a grade or money, never both: how much the item was liked
(`value` of an action that carries a grade, or `grade`, told by itself as a rating is), or what was
paid (`amount_micros` with its `currency`, of an action that carries money).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Annotated, Any, Final

import msgspec

from headrace.action import GRADED, TABLE
from headrace.epoch import EARLIEST_MS, wrong_time
from headrace.errors import InvalidEvent
from headrace.events.declared import fault_of
from headrace.events.faults import EVENT_VERSION as EVENT_VERSION
from headrace.events.faults import fault_of_action, fault_of_items, fault_of_text, fault_of_version
from headrace.events.serving_policy import ServingPolicy

POSITION_UNKNOWN: Final = -1
DEFAULT_SURFACE: Final = "home"
MAX_ITEMS: Final = 1_000
MAX_ID: Final = 256  # characters
MAX_SURFACE: Final = 128  # characters of the name of a surface
MAX_EVENT_BYTES: Final = 1_000_000  # of an event as JSON: brokers take 1,048,576 by default
MAX_AHEAD_MS: Final = 300_000  # clocks differ: how far ahead of its arrival an event's time may be
MAX_VALUE: Final = 1e9  # of an outcome, and its negative the least
MICROS: Final = 1_000_000  # in a unit of a currency
MAX_MICROS: Final = 10**15  # of an amount: a thousand million units of a currency

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID)]
Surface = Annotated[str, msgspec.Meta(max_length=MAX_SURFACE)]
EpochMs = Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)]  # holds nanoseconds sent by mistake
Version = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]  # of a model
Value = Annotated[float, msgspec.Meta(ge=-MAX_VALUE, le=MAX_VALUE)]  # a rating, a share watched
Micros = Annotated[int, msgspec.Meta(ge=-MAX_MICROS, le=MAX_MICROS)]  # millionths of a currency
Currency = Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]  # ISO 4217
Propensity = Annotated[float, msgspec.Meta(gt=0, le=1)]
Told = tuple[bool | None, ...]  # of each action of the table
ContextTold = dict[str, Any]  # what else the request told: `headrace.events.declared`


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
    value: Value = 0.0  # the grade of an action that came; without one it says nothing
    campaign_id: Id | None = None  # the campaign, where the item was shown as an ad
    propensity: Propensity | None = None  # of this item at its position, under the policy
    price_micros: Annotated[int, msgspec.Meta(ge=0, le=MAX_MICROS)] | None = None  # of that ad
    outcomes: dict[str, bool] | None = None  # of the actions that have no field here
    grade: Value | None = None  # how much it was liked, whatever came: a rating, the share watched
    amount_micros: Annotated[int, msgspec.Meta(ge=0, le=MAX_MICROS)] | None = None  # paid
    currency: Currency | None = None

    @property
    def told(self) -> Told:
        """[A]: whether each action of the table came, None where that is not said."""
        fields: Told = _fields(self)
        if self.outcomes is None:
            return fields
        named = zip(fields, _TOLD_BY, strict=True)
        return tuple([came if field else self.outcomes.get(name) for came, (field, name) in named])

    def graded(self, came: int) -> float:
        """How much it was liked, 0 where nothing says so; `came` are the actions that came."""
        if self.grade is not None:
            return self.grade
        return self.value if came & GRADED else 0.0


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
    context: ContextTold | None = None
    policy: ServingPolicy | None = None
    placed: bool = False  # ads that a replica has placed: who shows them says so, and is charged
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
    context: ContextTold | None = None
    version: int = EVENT_VERSION


class ActionEvent(_Strict, frozen=True, tag="action"):
    """A user did something with an item beside clicking it, or took back that he had.

    A negative amount takes back as `taken_back` does: goods returned, an order cancelled.
    """

    event_id: Id
    event_time_ms: EpochMs
    user_id: Id
    item_id: Id
    action: Id
    value: Value = 0.0  # how much it was liked, where the action carries a grade
    request_id: Id | None = None
    surface: Surface = DEFAULT_SURFACE
    amount_micros: Micros | None = None  # paid, or paid back, where the action carries money
    currency: Currency | None = None
    taken_back: bool = False
    context: ContextTold | None = None
    version: int = EVENT_VERSION

    @property
    def takes_back(self) -> bool:
        """Whether it undoes an earlier one of the same user, item and action."""
        return self.taken_back or (self.amount_micros is not None and self.amount_micros < 0)

    @property
    def paid(self) -> float:
        """Units of the currency that changed hands, below 0 where they were paid back."""
        if self.amount_micros is None:
            return 0.0
        units = abs(self.amount_micros) / MICROS
        return -units if self.takes_back else units


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

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Event)


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
        raise fault_of_text(error, payload) from None
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
        raise fault_of_text(error, msgspec.json.encode(document)) from None
    if event.context and (fault := fault_of(event.context)):
        raise InvalidEvent(fault[1], field=f"context.{fault[0]}")
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
        return fault_of_version(event.version)
    if not EARLIEST_MS <= event.event_time_ms <= arrival_ms:
        if wrong := wrong_time(event.event_time_ms, arrival_ms, max_ahead_ms):
            return InvalidEvent(wrong, field="event_time_ms")
    if type(event) is ImpressionEvent:
        return fault_of_items(event.items)
    return fault_of_action(event) if type(event) is ActionEvent else None
