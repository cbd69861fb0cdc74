"""The real HAProxy, by our configuration of Ray's kind, before a replica that tells what it got."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from headrace.config import Settings, changed
from headrace.services.haproxy import serve_environment
from headrace.services.haproxy_config import SECURITY_HEADERS
from headrace.services.ports import free_port

RAYS = """global
    log 127.0.0.1:514 local0 info
    stats socket {folder}/admin.sock mode 666 level admin
    tune.bufsize 16384
defaults
    mode http
    log global
    option httplog
    timeout connect 1s
    timeout client 5s
    timeout server 5s
frontend prometheus
    bind :{unused}
    http-request use-service prometheus-exporter if {{ path /metrics }}
frontend http_frontend
    bind 127.0.0.1:{port}
    http-request return status 200 content-type text/plain string "routes" if {{ path /-/routes }}
    use_backend shop if {{ path_beg / }}
    default_backend default_backend
backend default_backend
    http-request return status 404
backend shop
    server replica-1 127.0.0.1:{replica}
listen stats
    bind :{unused}
    stats enable
"""


class Replica(BaseHTTPRequestHandler):
    """Answers with the headers of the request."""

    server_version = "leaky/1.2.3"

    def do_GET(self) -> None:
        body = json.dumps({name.lower(): text for name, text in self.headers.items()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Of a HAProxy at 127.0.0.2, where Ray was told 127.0.0.1."""
    folder = tmp_path_factory.mktemp("haproxy")
    port, path = free_port(), folder / "haproxy.cfg"
    with ThreadingHTTPServer(("127.0.0.1", 0), Replica) as replica:
        threading.Thread(target=replica.serve_forever, daemon=True).start()
        ports = {"port": port, "replica": replica.server_port, "unused": free_port()}
        path.write_text(RAYS.format(folder=folder, **ports))
        environ = serve_environment(folder, changed(Settings(), host="127.0.0.2"))
        script = environ["RAY_SERVE_HAPROXY_BINARY_PATH"]
        process = subprocess.Popen([script, "-db", "-f", str(path)], stderr=subprocess.DEVNULL)
        try:
            wait_until_open(process, port)
            yield port
        finally:
            process.terminate()
            process.wait()
            replica.shutdown()


def wait_until_open(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        assert process.poll() is None and time.monotonic() < deadline
        try:
            socket.create_connection(("127.0.0.2", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)


def ask(port: int, method: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    with closing(http.client.HTTPConnection("127.0.0.2", port, timeout=5)) as connection:
        given = {name.replace("_", "-"): text for name, text in headers.items()}
        connection.request(method, path, headers=given)
        response = connection.getresponse()
        told = {name.lower(): text for name, text in response.getheaders()}
        return response.status, told, response.read()


def test_it_listens_at_the_address_of_the_settings_alone(port: int) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def test_a_replica_is_told_the_address_that_a_client_has(port: int) -> None:
    claimed = {"X_Forwarded_For": "203.0.113.9", "X_Headrace_Platform": "another"}
    _, _, body = ask(port, "GET", "/v1/recommend", **claimed)
    got = json.loads(body)
    assert got["x-forwarded-for"].startswith("127.0.0.")
    assert re.fullmatch(r"[0-9a-f]{16}", got["x-headrace-platform"])


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/livez", {}, 200),
        ("GET", "/-/routes", {}, 404),
        ("GET", "/-/Routes", {}, 404),
        ("FOO", "/livez", {}, 405),
        ("GET", "/%00", {}, 400),
        ("POST", "/v1/events", {"Content_Length": "5000000"}, 413),
    ],
)
def test_every_answer_tells_browsers_what_to_do_and_nobody_what_runs(
    port: int, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    found, told, body = ask(port, method, path, **headers)
    assert found == status
    assert {name: told.get(name.lower()) for name in SECURITY_HEADERS} == SECURITY_HEADERS
    assert "server" not in told
    assert status == 200 or b'{"error":' in body


def test_what_cannot_be_read_learns_nothing_of_what_runs(port: int) -> None:
    with socket.create_connection(("127.0.0.2", port), timeout=5) as connection:
        connection.sendall(b"no HTTP\r\n\r\n")
        answered = connection.recv(4_000).lower()
    assert answered.startswith(b"http/1.1 400")  # in HAProxy's own words, which cannot be changed
    assert b"haproxy" not in answered and b"server:" not in answered
