"""A door with keys of its own, and the answer of a router to one request."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from redis import RedisError
from starlette.requests import Request
from starlette.responses import Response

from headrace import config
from headrace.access.api_keys.key import ApiKey
from headrace.access.api_keys.ring import Keyring
from headrace.access.api_keys.store import KeyStore
from serving.http.door import Door
from serving.http.router import Router


class Shelf(KeyStore):
    """Keys as Redis would have them, in memory; it can be away."""

    def __init__(self, *keys: ApiKey) -> None:
        self.keys, self.days, self.is_away = list(keys), dict[str, str](), False

    def all(self) -> list[ApiKey]:
        if self.is_away:
            raise RedisError("away")
        return list(self.keys)

    def mark_used(self, day_by_id: Mapping[str, str]) -> None:
        self.days.update(day_by_id)


def door(keyring: Keyring | None = None, **settings: object) -> Door:
    """A door by these settings."""
    return Door(config.settings(**settings), keyring or Keyring(Shelf(), lambda: 0))


def answer_to(
    router: Router,
    method: str,
    path: str,
    headers: Mapping[str, str] | None = None,
    chunks: Sequence[bytes] = (b"",),
    pause_s: float = 0,
) -> Response:
    """The answer to a request whose body comes in these chunks."""
    left = list(chunks)

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(pause_s)
        chunk = left.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(left)}

    given = [(name.lower().encode(), text.encode()) for name, text in (headers or {}).items()]
    path, _, query = path.partition("?")
    scope = {"type": "http", "method": method, "path": unquote(path), "headers": given}
    scope["query_string"] = query.encode()
    return asyncio.run(router.answer(Request({**scope, "client": ("127.0.0.1", 9)}, receive)))
