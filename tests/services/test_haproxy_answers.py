"""The real HAProxy, by our configuration of Ray's kind, before a replica that tells what it got."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from headrace import config
from headrace.services.haproxy import serve_environment
from headrace.services.haproxy_config import SECURITY_HEADERS
from headrace.services.ports import free_port
from headrace.services.processes.session import end_session

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
    option redispatch 1
    balance roundrobin
{servers}
listen stats
    bind :{unused}
    stats enable
"""

MOST = 30  # connections of one address


class Replica(BaseHTTPRequestHandler):
    """Answers with the headers of the request."""

    server_version = "leaky/1.2.3"

    def do_GET(self) -> None:
        body = json.dumps({name.lower(): text for name, text in self.headers.items()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


class Hanging(Replica):
    """Takes a request and does not answer until `going_on`."""

    num_taken = 0
    going_on = threading.Event()

    def do_POST(self) -> None:
        Hanging.num_taken += 1
        self.going_on.wait(10)


@contextmanager
def haproxy(folder: Path, *replicas: type[Replica]) -> Iterator[int]:
    """The port of a HAProxy at 127.0.0.2, where Ray was told 127.0.0.1, before these replicas."""
    port = free_port()
    with ExitStack() as stack:
        servers = []
        for number, replica in enumerate(replicas):
            server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), replica))
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            stack.callback(server.shutdown)
            servers.append(f"    server replica-{number} 127.0.0.1:{server.server_port}")
        ports = {"port": port, "servers": "\n".join(servers), "unused": free_port()}
        (folder / "rays.cfg").write_text(RAYS.format(folder=folder, **ports))
        serve_environment(
            folder, config.settings(host="127.0.0.2", connections_per_client=MOST).http
        )
        node = started(folder)
        stack.callback(node.wait)
        stack.callback(end_session, node.pid)
        wait_until(lambda: is_open(port))
        yield port


def started(folder: Path) -> subprocess.Popen[bytes]:
    """A HAProxy, started as in Ray: by a process whose parent is the node, in a session of its
    own."""
    shutil.copy(folder / "rays.cfg", folder / "haproxy.cfg")
    actor = '"$0" -db -f "$1"; sleep 60'
    node = f'sh -c \'{actor}\' "$0" "$1"; sleep 60'
    command = ["sh", "-c", node, str(folder / "haproxy"), str(folder / "haproxy.cfg")]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with haproxy(tmp_path_factory.mktemp("haproxy"), Replica) as port:
        yield port


def is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.2", port), timeout=1).close()
    except OSError:
        return False
    return True


def is_answered(port: int) -> bool:
    with suppress(OSError, http.client.HTTPException):
        return ask(port, "GET", "/livez")[0] == 200
    return False


def wait_until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def ask(port: int, method: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    with closing(http.client.HTTPConnection("127.0.0.2", port, timeout=30)) as connection:
        given = {name.replace("_", "-"): text for name, text in headers.items()}
        connection.request(method, path, b"{}" if method == "POST" else None, headers=given)
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


def test_a_slate_that_one_replica_owes_is_given_by_another(tmp_path: Path) -> None:
    with haproxy(tmp_path, Hanging, Replica) as port:
        answers = [ask(port, "POST", "/v1/recommend")[0] for _ in range(4)]
        assert answers == [200] * 4 and Hanging.num_taken > 0
        before = Hanging.num_taken
        ads = [ask(port, "POST", "/v1/ads")[0] for _ in range(2)]
        # Each is paid for: the one that hangs is asked once, and no other instead of it.
        assert sorted(ads) == [200, 503] and Hanging.num_taken == before + 1
        Hanging.going_on.set()


def test_one_client_has_a_bounded_number_of_connections(port: int) -> None:
    request = b"GET /livez HTTP/1.1\r\nHost: shop\r\n\r\n"
    with ExitStack() as stack:
        answers = [first_bytes(stack, port, request) for _ in range(MOST + 9)]
        assert answers.count(b"HTTP") == MOST
        # Another address is not held up by it.
        other = http.client.HTTPConnection("127.0.0.2", port, 5, ("127.0.0.3", 0))
        stack.callback(other.close)
        other.request("GET", "/livez")
        assert other.getresponse().status == 200
    wait_until(lambda: is_answered(port))


def first_bytes(stack: ExitStack, port: int, request: bytes) -> bytes:
    """Of the answer on a new connection, which stays open; none where it is refused."""
    with suppress(ConnectionError):
        connection = socket.create_connection(("127.0.0.2", port), timeout=5)
        stack.callback(connection.close)
        connection.sendall(request)
        return connection.recv(4)
    return b""


def running(folder: Path, name: str) -> list[psutil.Process]:
    """HAProxies with this configuration, keepers and shells aside."""
    given = ["-db", "-f", str(folder / name)]
    found = (one for one in psutil.process_iter(["cmdline"]) if one.info["cmdline"])
    return [one for one in found if one.name() == "haproxy" and one.info["cmdline"][1:4] == given]


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP])
def test_a_stand_in_answers_for_one_that_died_or_hangs_until_the_next_one_takes_over(
    tmp_path: Path, fault: signal.Signals
) -> None:
    def stands_in() -> bool:
        return bool(running(tmp_path, "stand-in.cfg"))

    with haproxy(tmp_path, Replica) as port:
        (first,) = running(tmp_path, "haproxy.cfg")
        first.send_signal(fault)
        wait_until(lambda: stands_in() and is_open(port))
        assert ask(port, "GET", "/livez")[0] == 200
        assert not running(tmp_path, "haproxy.cfg")

        following = started(tmp_path)
        wait_until(lambda: not stands_in())
        assert ask(port, "GET", "/livez")[0] == 200
        (second,) = running(tmp_path, "haproxy.cfg")
        end_session(following.pid)
        wait_until(lambda: not second.is_running())
        following.wait()
    wait_until(lambda: not stands_in())
