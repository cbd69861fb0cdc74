"""A row of the table of routes: what is posted to which path, and what is answered.

A row is a descriptor. In the table it is itself; of a client, which inherits the table, it is the
call of its route.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Final, Generic, Literal, Protocol, TypeVar, overload
from urllib.parse import quote, urlencode

import msgspec

Scope = Literal["open", "read", "write", "admin"]  # whom a route is for, where keys are required
ID: Final = "{id}"  # at the end of a path: the id of one item or user
Request = TypeVar("Request")
Answer = TypeVar("Answer")


class Caller(Protocol):
    """Whoever sends requests to an address and reads the answers."""

    def send(self, endpoint: Endpoint[Answer], posted: Any) -> Answer: ...


@dataclass(kw_only=True)
class Endpoint(Generic[Answer]):
    """One method of one path.

    `request` is the type of the posted body, None where nothing is posted, `query` that of what
    follows a question mark behind the path, None where nothing is asked so, and `answer` that of a
    success. A replica answers with its method of the row's name, in a thread of its `budget`, or on
    the event loop where there is none; `rate` bounds how often one key or address may ask, beside
    the rate of all routes; `reader` reads a body that is not simply JSON of the request's type.
    These three are names of the replica's.
    """

    method: ClassVar[str]
    path: str
    request: Any = None
    query: Any = None
    answer: Any
    scope: Scope
    status: int = 200  # of a success
    budget: str = ""
    rate: str = ""
    reader: str = ""
    name: str = ""

    @property
    def prefix(self) -> str:
        """The path before the id that ends it; empty for a path without one."""
        return self.path.removesuffix(ID) if self.path.endswith(ID) else ""

    def __set_name__(self, table: type, name: str) -> None:
        self.name = name


class Get(Endpoint[Answer]):
    """A route that is only asked."""

    method = "GET"

    @overload
    def __get__(self, caller: None, table: type) -> Get[Answer]: ...
    @overload
    def __get__(self, caller: Caller, table: type) -> Callable[[], Answer]: ...
    def __get__(self, caller: Caller | None, table: type) -> Get[Answer] | Callable[[], Answer]:
        return self if caller is None else partial(caller.send, self, None)


class Post(Endpoint[Answer], Generic[Request, Answer]):
    """A route that something is posted to."""

    method = "POST"

    @overload
    def __get__(self, caller: None, table: type) -> Post[Request, Answer]: ...
    @overload
    def __get__(self, caller: Caller, table: type) -> Callable[[Request], Answer]: ...
    def __get__(
        self, caller: Caller | None, table: type
    ) -> Post[Request, Answer] | Callable[[Request], Answer]:
        return self if caller is None else partial(caller.send, self)


class Ask(Endpoint[Answer], Generic[Request, Answer]):
    """A route that is asked with a query."""

    method = "GET"

    @overload
    def __get__(self, caller: None, table: type) -> Ask[Request, Answer]: ...
    @overload
    def __get__(self, caller: Caller, table: type) -> Callable[[Request], Answer]: ...
    def __get__(
        self, caller: Caller | None, table: type
    ) -> Ask[Request, Answer] | Callable[[Request], Answer]:
        return self if caller is None else partial(self._send, caller)

    def _send(self, caller: Caller, asked: Request) -> Answer:
        told = {name: one for name, one in msgspec.to_builtins(asked).items() if one is not None}
        return caller.send(replace(self, path=f"{self.path}?{urlencode(told)}"), None)


class Put(Post[Request, Answer]):
    """A route that takes things whole, each in the place of the one with its id."""

    method = "PUT"


class Patch(Post[Request, Answer]):
    """A route that takes changes of things."""

    method = "PATCH"


class GetOne(Endpoint[Answer]):
    """A route whose path ends with the id of the one thing that is asked for."""

    method = "GET"

    @overload
    def __get__(self, caller: None, table: type) -> GetOne[Answer]: ...
    @overload
    def __get__(self, caller: Caller, table: type) -> Callable[[str], Answer]: ...
    def __get__(
        self, caller: Caller | None, table: type
    ) -> GetOne[Answer] | Callable[[str], Answer]:
        return self if caller is None else partial(self._send, caller)

    def _send(self, caller: Caller, id_: str) -> Answer:
        return caller.send(replace(self, path=self.prefix + quote(id_, safe="")), None)


class Delete(GetOne[Answer]):
    """A route whose path ends with the id of the one thing that is taken away."""

    method = "DELETE"
