"""The requests and responses of serving, as JSON: for slates and for ads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from headrace.errors import HeadraceError
from headrace.event import DEFAULT_SURFACE, ContextTold, Id, Surface
from headrace.events.declared import fault_of
from headrace.events.serving_policy import ServingPolicy

MAX_SLATE = 100
MAX_EXCLUDED = 1_000  # items that a request does not want
MAX_CATEGORIES = 100  # of the page of an ads request
MAX_RANKED = 500  # items that a request gives to be ranked
MAX_ABOUT = 20  # items that others are to be similar to
MAX_REMOVED = 1_000  # candidates whose removal is explained
MARKS = (  # in `degraded`
    *("no_features", "no_model", "not_ranked", "stale_model", "no_log", "no_budgets"),
    *("no_diversity", "deadline_passed"),
    *("unknown_items", "seen_again", "over_cap", "no_more_items"),
)
_PATH = re.compile(r" - at `\$?\.?(?P<path>[^`]*)`")
_NAME = re.compile(r"field `(?P<name>\w+)`")
Request = TypeVar("Request")
Deadline = Annotated[int, msgspec.Meta(ge=1, le=10_000)]  # milliseconds of a request


class InvalidRequest(HeadraceError):
    """A request that cannot be answered; `field` is the path of the field at fault."""

    def __init__(self, reason: str, field: str) -> None:
        super().__init__(reason)
        self.field = field


class RecommendRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request for a slate. With `record` false nothing is logged: no impression, no training.
    `model_version` names one of the versions that replicas have loaded; the newest if absent."""

    user_id: Id
    num_items: Annotated[int, msgspec.Meta(ge=1, le=MAX_SLATE)] = 10
    surface: Surface = DEFAULT_SURFACE
    exclude: Annotated[tuple[Id, ...], msgspec.Meta(max_length=MAX_EXCLUDED)] = ()
    record: bool = True
    model_version: Annotated[int, msgspec.Meta(ge=1)] | None = None
    context: ContextTold = {}  # the fields that the application file declares
    explain: bool = False  # with the candidates that were removed, and why
    candidates: Annotated[tuple[Id, ...], msgspec.Meta(max_length=MAX_RANKED)] = ()  # these alone
    filters: dict[str, Any] = {}  # a condition that items have to meet, as in the application file
    weights: dict[str, float] = {}  # of heads, within the bounds that the application file declares
    deadline_ms: Deadline | None = None  # what is not ready by then is left out, and marked


class RankRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request for the order of given items. Nothing is logged: it is not said what of them is
    shown. Without `num_items` all of them are answered."""

    user_id: Id
    items: Annotated[tuple[Id, ...], msgspec.Meta(min_length=1, max_length=MAX_RANKED)]
    num_items: Annotated[int, msgspec.Meta(ge=1, le=MAX_RANKED)] = MAX_RANKED
    surface: Surface = DEFAULT_SURFACE
    model_version: Annotated[int, msgspec.Meta(ge=1)] | None = None
    context: ContextTold = {}
    explain: bool = False
    filters: dict[str, Any] = {}
    weights: dict[str, float] = {}
    deadline_ms: Deadline | None = None


class SimilarRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request for items that go with some items; ranked for a user where one is named, else as
    their sources order them. Nothing is logged."""

    items: Annotated[tuple[Id, ...], msgspec.Meta(min_length=1, max_length=MAX_ABOUT)]
    user_id: Id | None = None
    num_items: Annotated[int, msgspec.Meta(ge=1, le=MAX_SLATE)] = 10
    surface: Surface = DEFAULT_SURFACE
    exclude: Annotated[tuple[Id, ...], msgspec.Meta(max_length=MAX_EXCLUDED)] = ()
    model_version: Annotated[int, msgspec.Meta(ge=1)] | None = None
    context: ContextTold = {}
    explain: bool = False
    filters: dict[str, Any] = {}
    weights: dict[str, float] = {}
    deadline_ms: Deadline | None = None


class TrendingQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A query for what is clicked most of late, on one surface first where one is named, in a
    category where one is."""

    num_items: Annotated[int, msgspec.Meta(ge=1, le=MAX_SLATE)] = 10
    category: Id | None = None
    surface: Surface | None = None


class AdsRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request for ads. `categories` are those of the page; the user's own ones if empty."""

    user_id: Id
    num_ads: Annotated[int, msgspec.Meta(ge=1, le=10)] = 1
    surface: Surface = DEFAULT_SURFACE
    categories: Annotated[tuple[Id, ...], msgspec.Meta(max_length=MAX_CATEGORIES)] = ()
    context: ContextTold = {}
    record: bool = True  # the impression; who shows the ads says so all the same


class Envelope(msgspec.Struct, frozen=True):
    """The envelope of every response: its fields beside the items or ads."""

    request_id: str
    user_id: str
    model_version: int  # 0: no model yet
    model_age_ms: int | None
    degraded: tuple[str, ...]  # what had to be done without, empty when nothing
    stage_ms: dict[str, float]  # of each stage and source, in their order, and of all: `total`


class RankedItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One item of a slate."""

    item_id: str
    title: str
    categories: tuple[str, ...]
    position: int
    p_click: float | None  # None where no model has ranked it
    score: float | None  # the order: the sum of weight x probability over the heads (`rank_by`)
    p: dict[str, float] = {}  # of the other heads that are weighed
    price_micros: int | None = None  # millionths of the currency
    currency: str = ""
    seen_again: bool = False  # the user has seen it, and there is nothing else to show
    sources: tuple[str, ...] = ()  # that proposed it
    propensity: float | None = None  # with which the policy puts it here; None: nothing was drawn
    reason: str = ""  # the source that placed it best, or why it is there all the same


class RemovedItem(msgspec.Struct, frozen=True):
    """One candidate that is not in the answer, and the filter or re-ranker that removed it."""

    item_id: str
    reason: str


class Slate(Envelope, frozen=True):
    """The answer to a `RecommendRequest`, and to those for other lists of items."""

    items: tuple[RankedItem, ...]
    relative: bool = False  # probabilities only order items: no impressions say how often
    policy: ServingPolicy | UnsetType = UNSET  # that drew the items of a slate
    removed: tuple[RemovedItem, ...] | UnsetType = UNSET  # where it is to be explained, the first


class PlacedAd(msgspec.Struct, frozen=True):
    """One ad that won its slot, and the price of this impression: charged once an
    impression event names the campaign and the request."""

    campaign_id: str
    item_id: str
    title: str
    position: int
    p_click: float
    bid_micros: int  # per click
    ecpm_micros: int  # bid x p_click x 1,000
    price_micros: int  # of this impression, reserved: the next eCPM / 1,000


class AdSlate(Envelope, frozen=True):
    """The answer to an `AdsRequest`."""

    ads: tuple[PlacedAd, ...]
    relative: bool = False  # probabilities and prices only order ads: as of a slate


def parse(body: bytes | bytearray, request_type: type[Request]) -> Request:
    """The request in a JSON body; raises `InvalidRequest` naming the field at fault."""
    try:
        request = msgspec.json.decode(body, type=request_type)
    except msgspec.ValidationError as error:
        raise _invalid(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"not JSON: {error}", "$") from None
    if fault := fault_of(getattr(request, "context", {})):
        raise InvalidRequest(fault[1], f"context.{fault[0]}")
    return request


def parse_query(given: Mapping[str, str], request_type: type[Request]) -> Request:
    """The request in the query of a URL; raises `InvalidRequest` naming the field at fault."""
    try:
        return msgspec.convert(dict(given), request_type, strict=False)
    except msgspec.ValidationError as error:
        raise _invalid(error) from None


def _invalid(error: msgspec.ValidationError) -> InvalidRequest:
    text = str(error)
    path, name = _PATH.search(text), _NAME.search(text)
    field = path["path"] if path else name["name"] if name else "$"
    return InvalidRequest(_PATH.sub("", text), field)


def to_json(answer: Any) -> bytes:
    """An answer as JSON."""
    return msgspec.json.encode(answer)
