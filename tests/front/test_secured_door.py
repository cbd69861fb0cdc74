"""HAProxy with TLS, a replica that asks for keys, and what of all this can be read in logs."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from secured import SecuredDoor, make_certificate
from stand import broker_environ, click, paused, stand, wait_for

from headrace.access.api_keys.key import new_secret
from headrace.api.front import Front
from headrace.up.load import BackgroundLoad

pytestmark = [pytest.mark.services, pytest.mark.ray]

PERSON = "somebody-7f3a9c"
SLATE = {"user_id": PERSON, "num_items": 1, "record": False}
HOST = "127.0.0.2"  # beside the loopback address that everything else listens at
RATE, BURST = 4.0, 20
KNOWN_S = 5.0  # replicas read the keys every second


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredDoor]:
    folder = tmp_path_factory.mktemp("secured")
    certificate, key = make_certificate(folder)
    secured = {
        "host": HOST,
        "auth": "required",
        "rate_per_key": RATE,
        "tls_cert": certificate,
        "tls_key": key,
    }
    secured["own_key"] = new_secret()
    with stand(folder, broker_environ("embedded"), SecuredDoor, **secured) as made:
        assert isinstance(made, SecuredDoor)
        yield made


def slate_status(door: SecuredDoor, key: dict[str, str]) -> int:
    return door.ask("POST", "/v1/recommend", SLATE, key).status


def test_a_key_opens_its_routes_within_seconds_until_it_is_revoked(door: SecuredDoor) -> None:
    key_id, key = door.new_key("read")
    wait_for("the key", lambda: slate_status(door, key) == 200, KNOWN_S)
    assert door.ask("GET", "/healthz", headers=key).document["namespace"] == "front"
    refused = door.ask("POST", "/v1/events", click("e1", PERSON), key)
    assert (refused.status, "write" in refused.headers["www-authenticate"]) == (403, True)
    for headers in ({}, {"Authorization": "Bearer hr_"}):
        refused = door.ask("POST", "/v1/recommend", SLATE, headers)
        assert refused.status == 401
        assert refused.headers["www-authenticate"].startswith("Bearer")
    assert door.keys().revoke(key_id)
    wait_for("its end", lambda: slate_status(door, key) == 401, KNOWN_S)


def test_probes_are_open_and_say_no_more_than_they_must(door: SecuredDoor) -> None:
    assert door.ask("GET", "/livez").document == {"live": True}
    probe = door.ask("GET", "/readyz")
    assert (probe.status, list(probe.document)) == (503, ["error"])
    assert door.ask("GET", "/healthz").status == 401


def test_who_asks_too_often_waits_and_nobody_else(door: SecuredDoor) -> None:
    (_, busy), (_, calm) = door.new_key("read"), door.new_key("read")
    wait_for("the keys", lambda: slate_status(door, calm) == 200, KNOWN_S)
    replies = [door.ask("POST", "/v1/recommend", SLATE, busy) for _ in range(2 * BURST + 20)]
    refused = [reply for reply in replies if reply.status == 429]
    assert refused and refused[0].headers["retry-after"] == "1"
    assert slate_status(door, calm) == 200
    wait_for("another token", lambda: slate_status(door, busy) == 200, KNOWN_S)


def test_redis_that_hangs_neither_locks_out_nor_lets_in(door: SecuredDoor) -> None:
    _, key = door.new_key("read")
    wait_for("the key", lambda: slate_status(door, key) == 200, KNOWN_S)
    with paused(door.redis.process):
        for _ in range(3):
            time.sleep(0.7)  # what Redis takes is what the test is about
            assert slate_status(door, key) == 200
            assert slate_status(door, {"X-API-Key": "hr_" + "0" * 12 + "_" + "0" * 64}) == 401


def test_headrace_itself_has_a_key_that_only_reads(door: SecuredDoor) -> None:
    load = BackgroundLoad(Front(door.settings.http), [PERSON], requests_per_s=RATE)
    load.start()
    try:
        wait_for("its slates", lambda: load.ok > 1, KNOWN_S)
    finally:
        load.stop()
    own = Front(door.settings.http).headers
    assert door.ask("GET", "/healthz", headers=own).status == 200
    assert door.ask("POST", "/v1/events", click("e2", PERSON), own).status == 403


def test_answers_of_replica_and_proxy_tell_nobody_what_runs_here(door: SecuredDoor) -> None:
    too_large = {"Content-Length": "5000000"}
    answers = [
        door.ask("GET", "/livez"),
        door.ask("GET", "/nothing"),
        door.ask("GET", "/-/routes"),  # of Ray, answered by HAProxy
        door.ask("POST", "/v1/events", headers=too_large),  # by HAProxy too
    ]
    assert [reply.status for reply in answers] == [200, 404, 404, 413]
    for reply in answers:
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]
        assert "server" not in reply.headers
    foreign = {"Origin": "http://evil.example"}
    assert door.ask("GET", "/livez", headers=foreign).status == 403
    assert door.ask("GET", "/livez", headers={"Host": "rebound.example"}).status == 421


def spoken(door: SecuredDoor, version: ssl.TLSVersion) -> str | None:
    """The version of TLS that a client of this version gets, None for none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that old versions are old
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("DEFAULT@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
    try:
        with (
            socket.create_connection((HOST, door.port), timeout=5) as plain,
            context.wrap_socket(plain) as encrypted,
        ):
            return encrypted.version()
    except OSError:
        return None


def test_connections_are_tls_of_today(door: SecuredDoor) -> None:
    assert spoken(door, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
    assert spoken(door, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
    assert spoken(door, ssl.TLSVersion.TLSv1_1) is None
    with socket.create_connection((HOST, door.port), timeout=5) as plain:
        plain.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"live" not in plain.recv(1_000)


def test_only_haproxy_listens_where_others_reach_it(door: SecuredDoor) -> None:
    assert door.replica is not None
    found = set()
    for process in psutil.Process(door.replica.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            for connection in process.net_connections("tcp"):
                if connection.status == psutil.CONN_LISTEN:
                    found.add((connection.laddr.ip.removeprefix("::ffff:"), process.name()))
    assert [name for address, name in found if address != "127.0.0.1"] == ["haproxy"]


def test_no_log_has_a_key_or_a_person(door: SecuredDoor) -> None:
    """Last: what all requests before have left behind."""
    _, key = door.new_key("read", "write")
    secret = key["Authorization"].removeprefix("Bearer ")
    wait_for("the key", lambda: slate_status(door, key) == 200, KNOWN_S)
    assert door.ask("POST", "/v1/events", {"user_id": PERSON, "type": "no type"}, key).status == 422
    assert door.ask("GET", f"/livez?user={PERSON}", headers=key).status == 200
    folders = [Path(door.ray_folder.name), door.folder]
    logs = [log for folder in folders for log in folder.rglob("*") if is_log(log)]
    assert len(logs) > 5
    for log in logs:
        text = log.read_text(errors="replace")
        assert PERSON not in text and secret not in text, log


def is_log(path: Path) -> bool:
    return path.is_file() and path.suffix in (".log", ".out", ".err") and not path.is_symlink()
