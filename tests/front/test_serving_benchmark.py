"""The client of `make bench ARGS="serving"`, on a small server."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import pytest

from benchmarks.serving import client, parts
from benchmarks.serving.client import Connection, closed_loop, one_by_one, posted, slates


class Shy(BaseHTTPRequestHandler):
    """Answers with the user that is asked for; every fifth request of `busy` is refused, and every
    seventh is the last of its connection."""

    protocol_version = "HTTP/1.1"
    asked = 0

    def do_POST(self) -> None:
        document = msgspec.json.decode(self.rfile.read(int(self.headers["Content-Length"])))
        Shy.asked += 1
        is_busy = document["user_id"] == "busy"
        body = msgspec.json.encode({"user_id": document["user_id"], "more": "x" * 100_000})
        self.send_response(503 if is_busy and Shy.asked % 5 == 0 else 200)
        self.send_header("Content-Length", str(len(body)))
        if is_busy and Shy.asked % 7 == 0:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    Shy.asked = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Shy) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_requests_one_by_one_are_timed_to_their_last_byte(port: int) -> None:
    connection = Connection(port)
    took_s = one_by_one(connection, slates(["ann", "bob"]) * 3)
    assert len(took_s) == Shy.asked == 6 and min(took_s) > 0
    answer = msgspec.json.decode(connection.received.partition(b"\r\n\r\n")[2])
    assert answer["user_id"] == "bob"
    connection.close()


def test_connections_ask_again_at_once_and_those_refused_when_they_may(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "RETRY_AFTER_S", 0.05)
    request = posted("/v1/recommend", {"user_id": "busy"})
    answers = closed_loop(port, [request], num=4, seconds=0.6)
    statuses = Counter(answer.status for answer in answers)
    answered = statuses[200] + statuses[503]
    assert answered <= Shy.asked <= answered + 4 and statuses[200] > 20
    assert statuses[503] == pytest.approx(answered / 5, abs=4)
    assert statuses[0] <= answered / 7 + 4  # sent while the server closed the connection
    assert all(answer.is_valid == (answer.status == 200) for answer in answers)


def test_each_part_is_a_part_of_the_table() -> None:
    assert [*parts.PARTS][:3] == ["2k", "100k", "1m"]
    assert all(part.__doc__ for part in parts.PARTS.values())
