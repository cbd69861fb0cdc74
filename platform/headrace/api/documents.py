"""Documents of items and users that clients put, and the answers to them."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from headrace.documents.document import ItemDocument, ItemPatch, UserDocument, UserPatch

MAX_DOCUMENTS: Final = 1_000  # in one request

_MANY: Final = msgspec.Meta(min_length=1, max_length=MAX_DOCUMENTS)
Items = ItemDocument | Annotated[tuple[ItemDocument, ...], _MANY]
ItemPatches = ItemPatch | Annotated[tuple[ItemPatch, ...], _MANY]
Users = UserDocument | Annotated[tuple[UserDocument, ...], _MANY]
UserPatches = UserPatch | Annotated[tuple[UserPatch, ...], _MANY]


class Logged(msgspec.Struct, frozen=True):
    """The answer to documents, changes and removals: all of them are in the log, and every part of
    the platform follows it."""

    accepted: int
    ids: tuple[str, ...]  # of items or users, in the order in which they came
