"""HAProxy and a replica of Ray Serve: what HTTP asks, slow and huge clients, and what dies."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator, Sequence

import psutil
import pytest
from stand import FrontDoor, Reply, Stand, ask, broker_environ, click, stand, wait_for

from headrace.services.haproxy import PLATFORM_HEADER

pytestmark = [pytest.mark.services, pytest.mark.ray]

REPLICA, HAPROXY = "ServeReplica", "haproxy -db"
BODY = b'{"user_id":"u1","num_items":1,"record":false}'
HEAD = b"Host: localhost\r\nContent-Type: application/json\r\n"
GIVEN_UP_S = 7.0  # HAProxy waits 5 s for a header or a small body
REPLACED_S = 90.0  # on two busy cores; importing Feast and torch is most of it


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder = tmp_path_factory.mktemp("door")
    with stand(folder, broker_environ("embedded"), FrontDoor) as made:
        yield made


def raw(port: int, *parts: bytes, timeout_s: float = 10.0) -> bytes:
    """All that comes back for these bytes, until the server closes or says nothing more."""
    answered = b""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
        try:
            for part in parts:
                connection.sendall(part)
            while chunk := connection.recv(65_536):
                answered += chunk
                if b"\r\n\r\n" in answered:
                    connection.settimeout(0.3)
        except OSError:
            pass
    return answered


def statuses(answered: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d\d\d)", answered)]


def request(
    method: bytes = b"POST",
    path: bytes = b"/v1/recommend",
    more: bytes = b"",
    body: bytes = BODY,
    version: bytes = b"1.1",
) -> bytes:
    length = b"Content-Length: %d\r\n" % len(body) if body else b""
    line = method + b" " + path + b" HTTP/" + version + b"\r\n"
    return line + HEAD + more + length + b"\r\n" + body


UPGRADE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
NO_HTTP = {"a bad chunk", "two lengths", "no length", "2,000 headers", "60 kB of header"}
CHUNKED = b"Transfer-Encoding: chunked\r\n"
IN_CHUNKS = b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n"
PROTOCOL = {
    "a slate": (request(), 200),
    "GET": (request(b"GET", body=b""), 405),
    "PUT": (request(b"PUT"), 405),
    "TRACE": (request(b"TRACE", body=b""), 405),
    "FOO": (request(b"FOO"), 405),
    "CONNECT": (request(b"CONNECT", b"localhost:80", body=b""), 405),
    "HEAD": (request(b"HEAD", b"/healthz", body=b""), 200),
    "OPTIONS": (request(b"OPTIONS", body=b""), 204),
    "OPTIONS of a foreign page": (request(b"OPTIONS", more=b"Origin: http://evil\r\n"), 403),
    "root": (request(b"GET", b"/", body=b""), 404),
    "a NUL": (request(path=b"/v1/recommend%00"), 400),
    "HTTP/1.0": (request(version=b"1.0"), 200),
    "HTTP/3.7": (request(version=b"3.7"), 505),
    "no Host": (b"GET /livez HTTP/1.1\r\n\r\n", 400),
    "websocket": (request(b"GET", more=UPGRADE, body=b""), 400),
    "chunked": (request(more=CHUNKED, body=b"") + IN_CHUNKS, 200),
    "a bad chunk": (request(more=CHUNKED, body=b"") + b"zz\r\n", 400),
    "gzip": (request(more=b"Content-Encoding: gzip\r\n"), 415),
    "two lengths": (request(more=b"Content-Length: 5\r\n"), 400),
    "no length": (request(more=b"Content-Length: -1\r\n", body=b""), 400),
    "10^18 bytes": (request(more=b"Content-Length: 1000000000000000000\r\n", body=b""), 413),
    "2,000 headers": (request(more=b"".join(b"X-%d: y\r\n" % n for n in range(2_000))), 400),
    "60 kB of header": (request(more=b"X: " + b"y" * 60_000 + b"\r\n"), 400),
    "an order to Ray": (request(more=b"X-Request-Timeout-Seconds: 0.000001\r\n"), 200),
}


@pytest.mark.parametrize("name", PROTOCOL)
def test_http_is_spoken_as_it_should_be(door: Stand, name: str) -> None:
    sent, expected = PROTOCOL[name]
    answered = raw(door.port, sent)
    assert statuses(answered) == [expected], answered
    if expected == 405:
        assert b"allow: " in answered.lower()
    if expected >= 400 and name not in NO_HTTP:  # HAProxy has no words of ours for those
        assert b'{"error":' in answered


def test_a_foreign_page_cannot_post(door: Stand) -> None:
    foreign = {"Content-Type": "text/plain", "Origin": "http://evil.example"}
    for path in ("/v1/events", "/v1/recommend", "/v1/ads"):
        assert ask(door.port, path, click("foreign"), headers=foreign).status == 403


@pytest.mark.parametrize("half", [b"\r\n" + BODY[:9], b""])
def test_half_requests_hold_nobody_up_and_end(door: Stand, half: bytes) -> None:
    head = b"POST /v1/recommend HTTP/1.1\r\n" + HEAD + b"Content-Length: 100\r\n"
    clients = [socket.create_connection(("127.0.0.1", door.port)) for _ in range(100)]
    try:
        for client in clients:
            client.sendall(head + half)
            client.settimeout(GIVEN_UP_S + 1)
        for _ in range(10):
            reply = door.slate(record=False)
            assert reply.status == 200 and reply.took_s < 3
        answers = [client.recv(1_000) for client in clients]
        assert all(statuses(answer) == [408] for answer in answers)
    finally:
        for client in clients:
            client.close()


def test_a_large_body_that_trickles_is_given_up(door: Stand) -> None:
    head = request(more=b"Content-Length: 60000\r\n", body=b"") + b'{"user_id": "' + b"x" * 20_000
    with socket.create_connection(("127.0.0.1", door.port), timeout=15) as client:
        client.sendall(head)
        began_s = time.monotonic()
        stop = threading.Event()

        def trickle() -> None:
            while not stop.wait(0.2):
                try:
                    client.sendall(b"x")
                except OSError:
                    return

        thread = threading.Thread(target=trickle)
        thread.start()
        try:
            assert statuses(client.recv(1_000)) == [408]
        finally:
            stop.set()
            thread.join()
    assert time.monotonic() - began_s < 16


def test_a_body_without_an_end_is_not_kept(door: Stand) -> None:
    replica = door.process(REPLICA)
    before = replica.memory_info().rss
    sent = 0
    with socket.create_connection(("127.0.0.1", door.port), timeout=10) as client:
        client.sendall(request(more=CHUNKED, body=b""))
        try:
            for _ in range(500):
                client.sendall(b"100000\r\n" + b" " * (1 << 20) + b"\r\n")
                sent += 1
        except OSError:
            pass
    assert sent < 100
    assert replica.memory_info().rss - before < 50_000_000
    assert door.slate(record=False).took_s < 3


def goodput(door: Stand, num_clients: int, seconds: float = 3.0) -> tuple[float, list[Reply]]:
    """Slates a second, and all replies, for clients who ask again as soon as they are answered."""
    replies: list[Reply] = []
    until_s = time.monotonic() + seconds

    def client() -> None:
        while time.monotonic() < until_s:
            replies.append(door.slate(record=False))

    threads = [threading.Thread(target=client) for _ in range(num_clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(reply.status == 200 for reply in replies) / seconds, replies


def test_clients_beyond_the_places_cost_the_others_little(door: Stand) -> None:
    peak, _ = goodput(door, 8)
    crowded, replies = goodput(door, 64)
    assert {reply.status for reply in replies} == {200, 503}
    assert all(r.headers["retry-after"] == "1" for r in replies if r.status == 503)
    assert crowded > 0.5 * peak  # the clients themselves take one of two cores
    assert max(reply.took_s for reply in replies) < 4
    assert door.slate(record=False).took_s < 3


def asked_until(door: Stand, done: threading.Event) -> tuple[list[Reply], threading.Thread]:
    """The replies to a slate every tenth of a second, until `done`."""
    replies: list[Reply] = []

    def run() -> None:
        while not done.wait(0.1):
            began_s = time.monotonic()
            try:
                replies.append(door.slate(record=False))
            except OSError:
                replies.append(Reply(0, {}, None, time.monotonic() - began_s))

    thread = threading.Thread(target=run)
    thread.start()
    return replies, thread


def after(door: Stand, title: str, fault: signal.Signals) -> tuple[list[Reply], float]:
    """The answers from a fault of a process on until its successor's, and how long that took."""
    done = threading.Event()
    process = door.process(title)
    replies, thread = asked_until(door, done)
    try:
        wait_for("a slate", lambda: bool(replies) and replies[-1].status == 200)
        os.kill(process.pid, fault)
        took_s = wait_for("its end", lambda: has_ended(process), REPLACED_S)
        since = len(replies)
        took_s += wait_for("slates", lambda: 200 in statuses_of(replies[since:]), REPLACED_S)
    finally:
        done.set()
        thread.join()
    return replies, took_s


def has_ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def statuses_of(replies: Sequence[Reply]) -> set[int]:
    return {reply.status for reply in replies}


def refused_at_once(replies: Sequence[Reply]) -> bool:
    refused = [reply for reply in replies if reply.status == 503]
    waited = sorted(reply.took_s for reply in refused)
    return (
        all(reply.headers["retry-after"] == "1" and reply.document["error"] for reply in refused)
        and waited[len(waited) // 2] < 1.5
    )


def test_a_replica_that_is_killed_is_replaced_and_nobody_waits(door: Stand) -> None:
    replies, _ = after(door, REPLICA, signal.SIGKILL)
    assert statuses_of(replies) <= {200, 503}
    assert refused_at_once(replies)


def test_a_replica_that_hangs_is_found_and_replaced(door: Stand) -> None:
    replies, _ = after(door, REPLICA, signal.SIGSTOP)
    assert statuses_of(replies) <= {200, 503}
    assert refused_at_once(replies)
    assert max(reply.took_s for reply in replies) < 10


def test_haproxy_that_is_killed_comes_back(door: Stand) -> None:
    replies, took_s = after(door, HAPROXY, signal.SIGKILL)
    assert took_s < REPLACED_S
    assert statuses_of(replies) <= {0, 200, 503}


def test_a_request_of_another_platform_gets_no_answer(door: Stand) -> None:
    replica = door.process(REPLICA)
    ports = [c.laddr.port for c in replica.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    answers = {}
    for port in ports:
        try:
            own = ask(port, "/livez", timeout_s=1).status
        except (OSError, http.client.HTTPException):
            continue  # no HTTP
        answers[port] = own, ask(port, "/livez", headers={PLATFORM_HEADER: "another"}).status
    assert list(answers.values()) == [(200, 503)]
