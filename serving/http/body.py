"""Request bodies: the allowed media type, and the limits on size and on the time to arrive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from headrace.errors import HeadraceError
from headrace.services.haproxy import MAX_BODY_BYTES
from serving.http.problem import Problem, busy, closing

MAX_HELD_BYTES: Final = 64_000_000  # of all bodies that are read or worked on at one time


Body = bytes | bytearray  # the latter as it was read: a copy of 4 MB would hold the event loop up


class BodyTooLarge(HeadraceError):
    """A body that is not read to its end."""


def require_json(headers: Mapping[str, str]) -> None:
    """Raises `Problem` 415 unless the body is announced as JSON.

    A web page of another site can post forms and plain text without asking its browser, and a body
    of no type; so what has no type is taken only where no `Origin` says that a browser sends it.
    """
    if "content-encoding" in headers:
        got = headers["content-encoding"]
        raise Problem(415, f"a body is not compressed, got Content-Encoding: {got}")
    given = headers.get("content-type", "")
    kind = given.partition(";")[0].strip().lower()
    is_json = kind == "application/json" or (
        kind.startswith("application/") and kind.endswith("+json")
    )
    if not is_json and (given or "origin" in headers):
        raise Problem(
            415,
            f"a body is JSON, got Content-Type: {given or 'none'}; send Content-Type: "
            "application/json (curl --json, or curl -H 'content-type: application/json')",
            headers={"Accept-Post": "application/json"},
        )


async def read_body(
    headers: Mapping[str, str], chunks: AsyncIterator[bytes], max_bytes: int = MAX_BODY_BYTES
) -> Body:
    """The body that comes in these chunks; raises `BodyTooLarge` as soon as it is known to be."""
    told = headers.get("content-length", "")
    if told.isdecimal() and int(told[:20]) > max_bytes:
        raise _too_large(f"{told[:20]} bytes", max_bytes)
    body = bytearray()
    async for chunk in chunks:
        if len(body) + len(chunk) > max_bytes:
            raise _too_large("more", max_bytes)
        body += chunk
    return body


class Bodies:
    """Reads bodies, each within a size and a time, all together within `MAX_HELD_BYTES`."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._held_bytes = 0

    @asynccontextmanager
    async def read(
        self, headers: Mapping[str, str], chunks: AsyncIterator[bytes]
    ) -> AsyncIterator[Body]:
        """The body, which counts as held until the block ends.

        Raises `Problem`: 413 for one that is too large, 408 for one that does not arrive in time,
        503 where the others leave no room for it.
        """
        held = 0

        async def counted() -> AsyncIterator[bytes]:
            nonlocal held
            async for chunk in chunks:
                if self._held_bytes + len(chunk) > MAX_HELD_BYTES:
                    raise busy("too many bodies are being read: send this one again")
                held += len(chunk)
                self._held_bytes += len(chunk)
                yield chunk

        try:
            try:
                async with asyncio.timeout(self._timeout_s):
                    body = await read_body(headers, counted())
            except BodyTooLarge as error:
                raise closing(413, str(error)) from None
            except TimeoutError:
                told = f"the body did not arrive within {self._timeout_s:g} s"
                raise closing(408, told) from None
            yield body
        finally:
            self._held_bytes -= held


def _too_large(got: str, max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"a body has at most {max_bytes:,} bytes, got {got}")
