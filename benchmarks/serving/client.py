"""Connections that ask again as soon as they are answered, as lightly as Python can.

Requests are made before, and of an answer only the status and the length are read, so that what
the client takes of the machine is little beside the lightest server.
"""

from __future__ import annotations

import heapq
import itertools
import selectors
import socket
import time
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from benchmarks.front.answers import Answer
from headrace.services.ports import LOOPBACK

TIMEOUT_S: Final = 10.0
RETRY_AFTER_S: Final = 1.0  # which every refusal asks for
MOST: Final = 1 << 16


def posted(path: str, document: Any) -> bytes:
    """A whole request."""
    body = msgspec.json.encode(document)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def slates(users: Sequence[str]) -> list[bytes]:
    """A request for a slate of each user."""
    return [posted("/v1/recommend", {"user_id": user_id}) for user_id in users]


class Connection:
    """A connection that is opened when it is used, and again when the server has closed it."""

    def __init__(self, port: int) -> None:
        self._port, self.received = port, bytearray()
        self._socket = self._opened()

    def fileno(self) -> int:
        """That of the socket."""
        return self._socket.fileno()

    def send(self, request: bytes) -> None:
        """Send a request; its answer is to come."""
        try:
            self.send_once(request)
        except OSError:
            self.open_again()
            self.send_once(request)

    def send_once(self, request: bytes) -> None:
        """The same on the socket that there is; raises `OSError` where the server has closed it."""
        self.received.clear()
        self._socket.sendall(request)

    def receive(self) -> int:
        """Read what has come; the status once the answer is whole, -1 where there is none."""
        got = self._socket.recv(MOST)
        if not got:
            return -1
        self.received += got
        end = self.received.find(b"\r\n\r\n")
        if end > 0:
            head = bytes(self.received[:end]).lower()
            place = head.find(b"content-length: ") + 16
            length = int(head[place : head.find(b"\r", place) % (len(head) + 1)])
            if len(self.received) >= end + 4 + length:
                return int(head[9:12])
        return 0

    def open_again(self) -> None:
        """A fresh socket in the place of the one that there was."""
        self._socket.close()
        self._socket = self._opened()

    def close(self) -> None:
        """Leave the server."""
        self._socket.close()

    def _opened(self) -> socket.socket:
        opened = socket.create_connection((LOOPBACK, self._port), TIMEOUT_S)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return opened


def one_by_one(connection: Connection, requests: Sequence[bytes]) -> list[float]:
    """The seconds of each request."""
    took_s = []
    for request in requests:
        began_s = time.perf_counter()
        connection.send(request)
        while not (status := connection.receive()):
            pass
        took_s.append(time.perf_counter() - began_s)
        assert status == 200, bytes(connection.received)
    return took_s


def closed_loop(port: int, requests: Sequence[bytes], num: int, seconds: float) -> list[Answer]:
    """The answers to so many connections, each of which asks for so long. One that is refused
    waits as it was asked to."""
    loop = _ClosedLoop(port, requests, num)
    try:
        return loop.run(seconds)
    finally:
        loop.close()


class _ClosedLoop:
    def __init__(self, port: int, requests: Sequence[bytes], num: int) -> None:
        self._requests, self._numbers = itertools.cycle(requests), itertools.count()
        self._selector = selectors.DefaultSelector()
        self._connections = [Connection(port) for _ in range(num)]
        self._began_s: list[float | None] = [None] * num  # None: it waits for nothing
        self._later: list[tuple[float, int]] = []  # who asks again, and when
        self._closed: set[int] = set()  # by the server
        self._answers: list[Answer] = []

    def run(self, seconds: float) -> list[Answer]:
        for place, connection in enumerate(self._connections):
            self._selector.register(connection, selectors.EVENT_READ, place)
            self._ask(place)
        ends_s = time.monotonic() + seconds
        while (now_s := time.monotonic()) < ends_s:
            while self._later and self._later[0][0] <= now_s:
                self._ask(heapq.heappop(self._later)[1])
            for key, _ in self._selector.select(0.05):
                self._hear(key.data)
        return self._answers

    def close(self) -> None:
        self._selector.close()
        for connection in self._connections:
            connection.close()

    def _ask(self, place: int) -> None:
        self._began_s[place], connection = time.monotonic(), self._connections[place]
        try:
            if place in self._closed:
                connection.open_again()
                self._selector.register(connection, selectors.EVENT_READ, place)
                self._closed.discard(place)
            connection.send_once(next(self._requests))
        except OSError:
            self._note(place, -1)

    def _hear(self, place: int) -> None:
        try:
            status = self._connections[place].receive()
        except OSError:
            status = -1
        if status:
            self._note(place, status)

    def _note(self, place: int, status: int) -> None:
        """Note an answer, below 0 that there was none, and ask again when it may be."""
        if status < 0 and place not in self._closed:
            self._selector.unregister(self._connections[place])
            self._closed.add(place)
        began_s, self._began_s[place] = self._began_s[place], None
        if began_s is None:  # the server has closed a connection that waited
            return
        now_s, number, is_good = time.monotonic(), next(self._numbers), status == 200
        self._answers.append(Answer(number, began_s, now_s - began_s, max(status, 0), is_good))
        if is_good:
            self._ask(place)
        else:
            heapq.heappush(self._later, (now_s + RETRY_AFTER_S, place))
