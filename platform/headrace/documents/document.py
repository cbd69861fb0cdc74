"""Documents: items and users as they are known before any behaviour, and the check of each.

A *whole* document replaces the one before it. A *part* changes the fields that it names, as a JSON
merge patch does (RFC 7396): null takes a field, or an attribute, away. Both name their item or
user.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from headrace.application.condition import value_text
from headrace.epoch import mistaken_unit
from headrace.errors import InvalidDocument
from headrace.event import MAX_MICROS, Currency, EpochMs, Id

MAX_TITLE: Final = 1_000  # characters
MAX_WORD: Final = 256  # characters of a category, and of the name or value of an attribute
MAX_CATEGORIES: Final = 100
MAX_ATTRIBUTES: Final = 100
MAX_VALUES: Final = 50  # of an attribute
MAX_STOCK: Final = 2**31 - 1
MAX_AGE: Final = 150  # years
MAX_DESCRIPTION: Final = 20_000  # characters
MAX_LOCATION: Final = 2_048
MAX_WIDTH: Final = 4_096  # numbers of a given vector

Title = Annotated[str, msgspec.Meta(max_length=MAX_TITLE)]
Category = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_WORD)]
Categories = Annotated[tuple[Category, ...], msgspec.Meta(max_length=MAX_CATEGORIES)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_WORD, pattern="^[^=]+$")]
Text = Annotated[str, msgspec.Meta(max_length=MAX_WORD)]
Value = Text | int | float | bool
Values = Value | Annotated[tuple[Value, ...], msgspec.Meta(max_length=MAX_VALUES)]
Attributes = Annotated[dict[Name, Values], msgspec.Meta(max_length=MAX_ATTRIBUTES)]
Price = Annotated[int, msgspec.Meta(ge=0, le=MAX_MICROS)]
Stock = Annotated[int, msgspec.Meta(ge=0, le=MAX_STOCK)]
Age = Annotated[int, msgspec.Meta(ge=0, le=MAX_AGE)]
Description = Annotated[str, msgspec.Meta(max_length=MAX_DESCRIPTION)]
Location = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_LOCATION)]
Number = Annotated[float, msgspec.Meta(ge=-1e6, le=1e6)]
Vector = Annotated[tuple[Number, ...], msgspec.Meta(min_length=1, max_length=MAX_WIDTH)]


class _Whole(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Fields that are not known are an error, those at their default are not written."""


class ItemDocument(_Whole, frozen=True):
    """An item, whole. Without a stock it never runs out; it is available from the
    first moment until the second; `min_age` is of who may see it, in years. The fields from
    `description` on are for encoders: whoever ranks reads their vectors."""

    item_id: Id
    title: Title = ""
    categories: Categories = ()
    attributes: Attributes = {}
    price_micros: Price | None = None  # millionths of the currency
    currency: Currency | None = None  # ISO 4217
    stock: Stock | None = None
    available_from_ms: EpochMs | None = None
    available_until_ms: EpochMs | None = None  # the first moment at which it is not
    min_age: Age | None = None
    description: Description | None = None
    image: Location | None = None  # a path below HEADRACE_CONTENT_FOLDER, or an address
    audio: Location | None = None
    video: Location | None = None
    vector: Vector | None = None  # features from elsewhere


class UserDocument(_Whole, frozen=True):
    """A user, whole. The attribute `age`, in years, decides which items he may see
    that have an age limit."""

    user_id: Id
    attributes: Attributes = {}


Changed = Annotated[dict[Name, Values | None], msgspec.Meta(max_length=MAX_ATTRIBUTES)]


class ItemPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Changes of an item: the fields that are named; null takes one away."""

    item_id: Id
    title: Title | None | UnsetType = UNSET
    categories: Categories | None | UnsetType = UNSET
    attributes: Changed | None | UnsetType = UNSET
    price_micros: Price | None | UnsetType = UNSET
    currency: Currency | None | UnsetType = UNSET
    stock: Stock | None | UnsetType = UNSET
    available_from_ms: EpochMs | None | UnsetType = UNSET
    available_until_ms: EpochMs | None | UnsetType = UNSET
    min_age: Age | None | UnsetType = UNSET
    description: Description | None | UnsetType = UNSET
    image: Location | None | UnsetType = UNSET
    audio: Location | None | UnsetType = UNSET
    video: Location | None | UnsetType = UNSET
    vector: Vector | None | UnsetType = UNSET


class UserPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Changes of a user: the attributes that are named; null takes one away."""

    user_id: Id
    attributes: Changed | None | UnsetType = UNSET


Document = TypeVar("Document", ItemDocument, UserDocument)
Patch = ItemPatch | UserPatch


@dataclass(frozen=True, slots=True)
class Kind(Generic[Document]):
    """A kind of documents: the types of a whole one and of a part, and the field with the id."""

    name: str
    whole: type[Document]
    part: type[ItemPatch] | type[UserPatch]

    @property
    def id_field(self) -> str:
        """The field with the id."""
        return f"{self.name}_id"

    def id_of(self, document: Document | Patch) -> str:
        """The id of the item or user that a document or a part is about."""
        found: str = getattr(document, self.id_field)
        return found


ITEM: Final = Kind("item", ItemDocument, ItemPatch)
USER: Final = Kind("user", UserDocument, UserPatch)

_PATH: Final = re.compile(r" - at (?:`key` in )?`\$?\.?(?P<path>[^`]*)`")
_NAME: Final = re.compile(r"field `(?P<name>.*?)`(?= - at `|$)", re.DOTALL)
_TIMES: Final = ("available_from_ms", "available_until_ms")


def accept_whole(kind: Kind[Document], given: Any) -> Document:
    """A whole document out of parsed JSON; raises `InvalidDocument` naming the field at fault."""
    document: Document = _checked(_converted(given, kind.whole))
    return document


def accept_part(kind: Kind[Any], given: Any) -> Patch:
    """A part of a document out of parsed JSON; raises `InvalidDocument` likewise."""
    patch: Patch = _checked(_converted(given, kind.part))
    if not changes(patch):
        told = f"changes nothing: it names no field beside {kind.id_field}"
        raise InvalidDocument(told, field="$")
    return patch


def changes(patch: Patch) -> dict[str, Any]:
    """The fields that a part names, without the id."""
    fields = ((name, getattr(patch, name)) for name in patch.__struct_fields__[1:])
    return {name: value for name, value in fields if value is not UNSET}


def merged(document: Document, patch: Patch) -> Document:
    """The document with the changes of a part; raises `InvalidDocument` where it is none then."""
    changed = changes(patch)
    fields = {**msgspec.structs.asdict(document), **changed}
    if isinstance(given := changed.get("attributes"), Mapping):
        every = {**document.attributes, **given}
        fields["attributes"] = {name: value for name, value in every.items() if value is not None}
    kept = {name: value for name, value in fields.items() if value is not None}
    after: Document = _checked(_converted(msgspec.to_builtins(kept), type(document)))
    return after


def words_of(attributes: Mapping[str, Values]) -> tuple[str, ...]:
    """Attributes as "name=value" words, in their order."""
    words: list[str] = []
    for name, values in attributes.items():
        every = values if isinstance(values, tuple) else (values,)
        words += (f"{name}={text}" if (text := value_text(value)) else name for value in every)
    return tuple(words)


def attributes_of(words: Iterable[str]) -> dict[str, Values]:
    """The attributes of such words; those beyond the limits are cut or left out."""
    found: dict[str, list[str]] = {}
    for word in words:
        name, _, value = word.partition("=")
        if name and (name in found or len(found) < MAX_ATTRIBUTES):
            found.setdefault(name[:MAX_WORD], []).append(value[:MAX_WORD])
    return {
        name: values[0] if len(values) == 1 else tuple(values[:MAX_VALUES])
        for name, values in found.items()
    }


def _converted(given: Any, wanted: type[Any]) -> Any:
    if not isinstance(given, dict):
        raise InvalidDocument(f"expected an object, got {type(given).__name__}", field="$")
    try:
        return msgspec.convert(given, wanted)
    except msgspec.ValidationError as error:
        text = str(error)
        path, name = _PATH.search(text), _NAME.search(text)
        parts = [path["path"] if path else "", name["name"] if name else ""]
        field = ".".join(part for part in parts if part) or "$"
        got = f", got {str(given[field])[:40]!r}" if field in given and "got" not in text else ""
        raise InvalidDocument(_PATH.sub("", text) + got, field) from None


def _checked(document: Any) -> Any:
    """The document or part, if its id can be a key and its times can be true."""
    id_field = document.__struct_fields__[0]
    if "\0" in getattr(document, id_field):
        raise InvalidDocument("an id has no NUL", field=id_field)
    if isinstance(document, ItemDocument | ItemPatch):
        for name in _TIMES:
            time_ms = getattr(document, name)
            if isinstance(time_ms, int) and (unit := mistaken_unit(time_ms)):
                told = f"expected epoch milliseconds, got {time_ms}: is it in {unit}?"
                raise InvalidDocument(told, field=name)
        begins_ms, ends_ms = (getattr(document, name) for name in _TIMES)
        if isinstance(begins_ms, int) and isinstance(ends_ms, int) and ends_ms <= begins_ms:
            told = f"expected a time after available_from_ms ({begins_ms}), got {ends_ms}"
            raise InvalidDocument(told, field="available_until_ms")
    return document
