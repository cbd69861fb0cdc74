"""Items and users over HTTP: put, changed, asked for, and taken away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, Protocol

from starlette.responses import Response

from headrace.api.documents import MAX_DOCUMENTS, Logged
from headrace.broker.log_sender import LogSender, Message
from headrace.broker.topics import Topics
from headrace.catalogue.item import Item
from headrace.config import Settings
from headrace.documents.document import (
    ITEM,
    USER,
    Kind,
    UserDocument,
    accept_part,
    accept_whole,
    attributes_of,
)
from headrace.documents.items import document_of
from headrace.documents.messages import part_message, removal, whole_message
from headrace.errors import InvalidDocument, LogUnavailable
from serving.http.body import Body
from serving.http.budget import Budget
from serving.http.problem import Problem, busy, json_response
from serving.http.route import Answer
from serving.posted.parts import parts_of

MAX_REQUESTS: Final = 64  # that wait to be read at one time
LOOK_S: Final = 0.02  # how often it is seen whether the log was read
PATIENCE_S: Final = 1.5  # for what the log has to be read; then the answer is of what was
LOOKS: Final = 2  # at the log's end, the first of which may have begun before


class Sender(Protocol):
    """Sends messages to the log, as `LogSender` does."""

    last_error: str

    def submit(self, messages: Sequence[Message]) -> Future[None]: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Present:
    """This replica's knowledge: an item, the attributes of a user, None for those of whom nothing
    was told, and how often it has read the items' topic to its end."""

    item_of: Callable[[str], Item | None]
    attributes_of: Callable[[str], Sequence[str] | None]
    num_looks: Callable[[], int]


def document_senders(settings: Settings) -> dict[str, Sender]:
    """A sender to each topic of documents, by their kind."""
    topics, given = Topics(settings.namespace), settings.serving
    return {
        kind.name: LogSender(settings, topic, given.events_deadline_s, given.max_waiting_events)
        for kind, topic in ((ITEM, topics.items), (USER, topics.users))
    }


class DocumentRoutes:
    """The routes of items and users.

    All of a body is taken, or none. What the log has acknowledged is followed by every part of the
    platform, this replica among them: to be asked for an item, it reads the log to its end first,
    so that whoever was told 202 finds it.
    """

    def __init__(
        self,
        senders: Mapping[str, Sender],
        present: Present,
        deadline_s: float,
    ) -> None:
        self._senders, self._present = senders, present
        self.documents = Budget("documents", 1, MAX_REQUESTS, deadline_s)

    @property
    def last_error(self) -> str:
        """The current error of the log, empty when there is none."""
        return next(filter(None, (one.last_error for one in self._senders.values())), "")

    def close(self) -> None:
        """Begin nothing more, and wait for the messages that were sent."""
        self.documents.close()
        for sender in self._senders.values():
            sender.close()

    def read_items(self, body: Body) -> list[Message]:
        """The messages of whole items in a body."""
        return self._wholes(ITEM, body)

    def read_users(self, body: Body) -> list[Message]:
        """The messages of whole users in a body."""
        return self._wholes(USER, body)

    def read_item_patches(self, body: Body) -> list[Message]:
        """The messages of changes of items in a body."""
        return self._parts(ITEM, body)

    def read_user_patches(self, body: Body) -> list[Message]:
        """The messages of changes of users in a body."""
        return self._parts(USER, body)

    def put_items(self, messages: Sequence[Message]) -> Answer:
        """202 once the log has each of these items, each in the place of the one with its id."""
        return self._logged(ITEM, messages)

    def put_users(self, messages: Sequence[Message]) -> Answer:
        """202 once the log has the attributes of each of these users, in place of those before."""
        return self._logged(USER, messages)

    async def patch_items(self, messages: Sequence[Message]) -> Response:
        """202 once the log has the changes of each of these items; 404 where one is not there."""
        await self._known(ITEM, messages, lambda id_: self._present.item_of(id_) is not None)
        return await self._logged(ITEM, messages)

    def patch_users(self, messages: Sequence[Message]) -> Answer:
        """202 once the log has the changes of each of these users' attributes."""
        return self._logged(USER, messages)

    async def get_item(self, item_id: str) -> Response:
        """An item as it is now, 404 where there is none."""
        await self._caught_up()
        item = self._present.item_of(item_id)
        if item is None:
            raise _missing(ITEM, [item_id])
        return json_response(document_of(item))

    def get_user(self, user_id: str) -> Answer:
        """The attributes of a user as they are now, 404 where nobody told of him."""
        found = self._present.attributes_of(user_id)
        if found is None:
            raise _missing(USER, [user_id])
        return json_response(UserDocument(user_id, attributes_of(found)))

    def delete_item(self, item_id: str) -> Answer:
        """202 once the log has that this item is gone, if it was there."""
        return self._logged(ITEM, [removal(item_id)])

    def delete_user(self, user_id: str) -> Answer:
        """202 once the log has that nothing is told of this user any more."""
        return self._logged(USER, [removal(user_id)])

    def _wholes(self, kind: Kind[Any], body: Body) -> list[Message]:
        def message(given: Any) -> Message:
            return whole_message(kind, accept_whole(kind, given))

        return _messages(body, f"{kind.name}s", message)

    def _parts(self, kind: Kind[Any], body: Body) -> list[Message]:
        def message(given: Any) -> Message:
            return part_message(kind, accept_part(kind, given))

        return _messages(body, f"changes of {kind.name}s", message)

    def _logged(self, kind: Kind[Any], messages: Sequence[Message]) -> Awaitable[Response]:
        ids = _ids(messages)
        try:
            acknowledged = self._senders[kind.name].submit(messages)
        except LogUnavailable as error:
            told = f"{error}; nothing of this was sent: send it again"
            raise busy(told, {"ids": ids}) from None
        return _answered(acknowledged, ids)

    async def _known(
        self, kind: Kind[Any], messages: Sequence[Message], is_there: Callable[[str], bool]
    ) -> None:
        """Raises `Problem` 404 where one of these is not there, also once the log was read."""
        ids = list(dict.fromkeys(_ids(messages)))
        if missing := [id_ for id_ in ids if not is_there(id_)]:
            await self._caught_up()
            if missing := [id_ for id_ in missing if not is_there(id_)]:
                raise _missing(kind, missing)

    async def _caught_up(self) -> None:
        """Wait until this replica has read the log up to its end of now."""
        awaited, ends_s = self._present.num_looks() + LOOKS, time.monotonic() + PATIENCE_S
        while self._present.num_looks() < awaited and time.monotonic() < ends_s:
            await asyncio.sleep(LOOK_S)


async def _answered(acknowledged: Future[None], ids: Sequence[str]) -> Response:
    try:
        await asyncio.wrap_future(acknowledged)
    except LogUnavailable as error:
        told = (
            f"{error}; some of this may be in the log: send it again, which changes nothing twice"
        )
        raise busy(told, {"ids": ids}) from None
    return json_response(Logged(len(ids), tuple(ids)), 202)


def _messages(body: Body, what: str, message: Callable[[Any], Message]) -> list[Message]:
    """A message for each part of a body; raises `InvalidDocument` naming the first at fault."""
    messages = []
    for name, given in parts_of(body, MAX_DOCUMENTS, what, InvalidDocument):
        try:
            messages.append(message(given))
        except InvalidDocument as error:
            field = f"{name}.{error.field}" if name else error.field
            raise InvalidDocument(str(error), field) from None
    return messages


def _ids(messages: Sequence[Message]) -> list[str]:
    return [message.key.partition(b"\0")[0].decode() for message in messages]


def _missing(kind: Kind[Any], ids: Sequence[str]) -> Problem:
    told = f"there is no {kind.name} {ids[0]!r}"
    more = f", nor {len(ids) - 1:,} others of this request" if len(ids) > 1 else ""
    return Problem(404, f"{told}{more}; PUT /v1/{kind.name}s makes one", {"ids": list(ids[:10])})
