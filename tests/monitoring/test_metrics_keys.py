"""Metrics for this machine, and beyond it for keys of scope admin, from a real server."""

from __future__ import annotations

import time
import urllib.error
import urllib.request

import pytest
from redis import Redis

from headrace import config
from headrace.access.api_keys.key import Scope, issue
from headrace.access.api_keys.store import KeyStore
from headrace.monitoring import metrics_server
from headrace.monitoring.metrics_server import serve_metrics
from headrace.services.ports import free_port
from headrace.services.redis import RedisServer

pytestmark = pytest.mark.services

NOW_MS = 1_714_554_000_000


@pytest.fixture
def beyond_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loopback address taken for one that others reach: tests listen nowhere else."""
    monkeypatch.setattr(metrics_server, "is_loopback", lambda host: False)


def settings_of(server: RedisServer, auth: str = "auto") -> config.Settings:
    given = {"namespace": "metrics", "redis_url": server.url, "metrics_port": free_port()}
    return config.settings(auth=auth, host="0.0.0.0", **given)


def scraped(port: int, key: str = "") -> int:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert b"headrace_feature_redis_up 1.0" in answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            assert b"headrace_feature" not in error.read()
            return error.code


def wait_for(status: int, port: int, key: str) -> None:
    """Keys are read anew every second."""
    deadline = time.monotonic() + 5
    while scraped(port, key) != status:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_they_stay_on_loopback_wherever_the_api_listens(server: RedisServer) -> None:
    settings = settings_of(server)
    assert settings.http.metrics_host == "127.0.0.1"
    with serve_metrics(settings, lambda: NOW_MS):
        assert scraped(settings.http.metrics_port) == 200


def test_beyond_it_a_key_of_scope_admin_is_asked_for(
    server: RedisServer, beyond_loopback: None
) -> None:
    settings = settings_of(server)
    scopes: tuple[Scope, ...] = ("read", "write")
    (reader, one), (admin, other) = issue("a", scopes, NOW_MS), issue("b", ("admin",), NOW_MS)
    with Redis.from_url(server.url) as redis:
        store = KeyStore(redis, "metrics")
        store.add(one)
        store.add(other)
        with serve_metrics(settings, lambda: NOW_MS):
            port = settings.http.metrics_port
            wait_for(200, port, admin)
            assert [scraped(port, key) for key in ("", "hr_", reader)] == [401, 401, 403]
            store.revoke(other.id)
            wait_for(401, port, admin)


def test_who_turns_keys_off_is_asked_for_none(server: RedisServer, beyond_loopback: None) -> None:
    settings = settings_of(server, auth="off")
    with serve_metrics(settings, lambda: NOW_MS):
        assert scraped(settings.http.metrics_port) == 200
