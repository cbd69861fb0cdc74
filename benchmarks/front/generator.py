"""An open-loop load: requests by a schedule, whatever becomes of them, in a process of its own.

`python -m benchmarks.front.generator PLAN` sends what the plan says, as JSON, and appends one
`Answer` a line to its file. Arrivals are those of a Poisson process, as of many clients who do not
know of each other; each answer is timed from when its request was due. SIGTERM ends it.
"""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any, Literal

import msgspec

from benchmarks.front.answers import Answer

FLUSH_S = 0.2
MAX_OPEN = 900  # connections; a request beyond them is not sent
MAX_IDLE_S = 2.0  # the server may be closing one that was idle for longer
RECORDED = 5  # one slate in so many is logged
Kind = Literal["slates", "unrecorded", "events"]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Plan(msgspec.Struct, frozen=True):
    """The plan of a load: so many requests a second to a port, by these users about these items."""

    port: int
    kind: Kind
    per_s: float
    seconds: float
    file: str
    users: tuple[str, ...]
    items: tuple[str, ...]  # items of the catalogue; a slate with another one is foreign
    prefix: str = "load"  # of event ids
    size: int = 1  # events in a post
    timeout_s: float = 6.0
    num_clients: int = 0  # closed loop with so many, instead of the schedule
    seed: int = 0


def event_ids(prefix: str, number: int, size: int) -> list[str]:
    """The ids of the events in one post."""
    return [f"{prefix}-{number}-{place}" for place in range(size)]


class Connections:
    """Connections that are kept open and used again, one request at a time each."""

    def __init__(self, port: int) -> None:
        self._port, self._idle = port, list[tuple[float, Streams]]()
        self.num_open = 0

    async def ask(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer; raises `OSError` or `EOFError` where there is none."""
        reader, writer = await self._connected()
        self.num_open += 1
        keep = False
        try:
            head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            lines = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
            headers = dict(line.split(b": ", 1) for line in lines[1:] if b": " in line)
            answered = await reader.readexactly(int(headers[b"content-length"]))
            keep = headers.get(b"connection") != b"close"
            return int(lines[0].split()[1]), answered
        finally:
            self.num_open -= 1
            if keep:
                self._idle.append((time.monotonic(), (reader, writer)))
            else:
                writer.close()

    async def _connected(self) -> Streams:
        while self._idle:
            since_s, (reader, writer) = self._idle.pop()
            is_fresh = time.monotonic() - since_s < MAX_IDLE_S
            if is_fresh and not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self._port)


class Sender:
    """Sends the requests of a plan and notes their answers."""

    def __init__(self, plan: Plan) -> None:
        self._plan, self._connections = plan, Connections(plan.port)
        self._draw, self._catalogue = random.Random(plan.seed), frozenset(plan.items)
        self._path = "/v1/events" if plan.kind == "events" else "/v1/recommend"
        self._lines: list[bytes] = []
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Send until the plan or the process is over; the file is complete then."""
        plan, loop = self._plan, asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stopping.set)
        flushing = asyncio.create_task(self._flush())
        ends_s = time.monotonic() + plan.seconds
        if plan.num_clients:
            clients = (self._client(place, ends_s) for place in range(plan.num_clients))
            await asyncio.gather(*clients)
        else:
            await self._by_schedule(ends_s)
        flushing.cancel()
        self._write()

    async def _by_schedule(self, ends_s: float) -> None:
        number, due_s = 0, time.monotonic()
        asked: set[asyncio.Task[None]] = set()
        while due_s < ends_s and not self._stopping.is_set():
            if (wait_s := due_s - time.monotonic()) > 0:
                await asyncio.sleep(wait_s)
            task = asyncio.create_task(self._ask(number, due_s))
            asked.add(task)
            task.add_done_callback(asked.discard)
            number += 1
            due_s += self._draw.expovariate(self._plan.per_s)
        await asyncio.gather(*asked)

    async def _client(self, place: int, ends_s: float) -> None:
        number = place
        while time.monotonic() < ends_s and not self._stopping.is_set():
            await self._ask(number, time.monotonic())
            number += self._plan.num_clients

    async def _ask(self, number: int, due_s: float) -> None:
        status, valid, note = 0, False, "too many open connections of this client"
        try:
            if self._connections.num_open < MAX_OPEN:
                async with asyncio.timeout(self._plan.timeout_s):
                    status, body = await self._connections.ask(self._path, self._body(number))
                valid, note = self._judge(status, body)
        except (OSError, EOFError, TimeoutError, ValueError, KeyError) as error:
            note = type(error).__name__
        answer = Answer(number, due_s, time.monotonic() - due_s, status, valid, note)
        self._lines.append(msgspec.json.encode(answer))

    def _body(self, number: int) -> bytes:
        plan, draw = self._plan, self._draw
        user_id = draw.choice(plan.users)
        if plan.kind != "events":
            record = plan.kind == "slates" and number % RECORDED == 0
            return msgspec.json.encode({"user_id": user_id, "record": record})
        click = {"type": "click", "user_id": user_id}
        ids = event_ids(plan.prefix, number, plan.size)
        return msgspec.json.encode(
            [{**click, "item_id": draw.choice(plan.items), "event_id": one} for one in ids]
        )

    def _judge(self, status: int, body: bytes) -> tuple[bool, str]:
        document: dict[str, Any] = msgspec.json.decode(body)
        if status >= 300:
            return False, str(document.get("error", ""))[:120]
        if self._plan.kind == "events":
            return len(document["event_ids"]) == self._plan.size, ""
        items = {item["item_id"] for item in document["items"]}
        if items - self._catalogue:
            return False, "foreign"
        valid = len(items) == len(document["items"]) == 10 and document["model_version"] > 0
        return valid, ",".join(document["degraded"])

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            self._write()

    def _write(self) -> None:
        lines, self._lines = self._lines, []
        with Path(self._plan.file).open("ab") as file:
            file.write(b"".join(line + b"\n" for line in lines))


if __name__ == "__main__":
    asyncio.run(Sender(msgspec.json.decode(sys.argv[1].encode(), type=Plan)).run())
