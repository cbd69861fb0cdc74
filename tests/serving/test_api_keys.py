"""Keys: issued once, kept hashed, checked by each replica also while Redis is away."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import msgspec
import pytest
from http_door import Shelf, answer_to, door
from redis import Redis
from starlette.responses import Response

from headrace import config
from headrace.access.api_keys.key import DAY_MS, ApiKey, Scope, issue, new_secret, scopes_of
from headrace.access.api_keys.ring import Keyring
from headrace.access.api_keys.store import KeyStore
from headrace.cli import main
from headrace.errors import ConfigError
from headrace.services.redis import RedisServer, start_redis
from headrace.skipped import Skipped
from serving.http.body import Bodies
from serving.http.budget import Budget
from serving.http.problem import json_response
from serving.http.route import Route
from serving.http.router import Router

NOW_MS = 1_714_554_000_000
SCOPES: tuple[tuple[Scope, ...], ...] = (("read",), ("write",), ("read", "write"), ("admin",))
WAYS = [("Authorization", "Bearer {}"), ("authorization", "BEARER {}"), ("X-API-Key", "{}")]


def told(may_read: bool) -> Response:
    return json_response({"ready": True, **({"store": "ok"} if may_read else {})})


def read(_: bytes) -> Response:
    return json_response({})


def taken(_: bytes) -> Response:
    return json_response({}, 202)


def router(keyring: Keyring, **settings: object) -> Router:
    budget = Budget("slates", 1, places=2, deadline_s=1)
    table = (
        Route("POST", "/v1/recommend", dict, dict, read, budget, "read", reader=bytes),
        Route("POST", "/v1/events", dict, dict, taken, budget, "write", reader=bytes),
        Route("GET", "/readyz", None, dict, told, None, "open"),
        Route("GET", "/healthz", None, dict, told, None, "read"),
    )
    return Router(table, Bodies(timeout_s=1), door(keyring, **settings))


def ring_of(*keys: ApiKey, clock: list[int] | None = None) -> tuple[Keyring, Shelf]:
    shelf, now = Shelf(*keys), clock or [NOW_MS]
    keyring = Keyring(shelf, lambda: now[0])
    keyring.refresh()
    return keyring, shelf


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@pytest.mark.parametrize("scopes", SCOPES)
def test_a_key_opens_the_routes_of_its_scopes_and_no_others(scopes: tuple[Scope, ...]) -> None:
    secret, key = issue("shop", scopes, NOW_MS)
    serving = router(ring_of(key)[0], auth="required")
    for path, scope, good in (("/v1/recommend", "read", 200), ("/v1/events", "write", 202)):
        for headers in (
            bearer(secret),
            {"X-API-Key": secret},
            {"authorization": f"BEARER {secret}"},
        ):
            response = answer_to(serving, "POST", path, headers)
            assert response.status_code == (good if scope in scopes else 403)
            if scope not in scopes:
                challenge = response.headers["www-authenticate"]
                assert "insufficient_scope" in challenge and f'scope="{scope}"' in challenge


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer(new_secret()),
        bearer("hr_"),
        bearer(""),
        bearer("é" * 90),
        {"Authorization": "Basic YTpi"},
        {"X-API-Key": "admin"},
    ],
)
def test_without_a_valid_key_nothing_but_probes_is_answered(headers: dict[str, str]) -> None:
    _, key = issue("shop", ("read", "write"), NOW_MS)
    serving = router(ring_of(key)[0], auth="required")
    for method, path in (("POST", "/v1/recommend"), ("POST", "/v1/events"), ("GET", "/healthz")):
        response = answer_to(serving, method, path, headers)
        assert response.status_code == 401
        assert response.headers["www-authenticate"].startswith('Bearer realm="headrace"')
        assert b"headrace keys create" in response.body
    probe = answer_to(serving, "GET", "/readyz", headers)
    assert (probe.status_code, json.loads(probe.body)) == (200, {"ready": True})


def test_a_probe_with_a_key_is_told_more() -> None:
    secret, key = issue("shop", ("read",), NOW_MS)
    probe = answer_to(router(ring_of(key)[0], auth="required"), "GET", "/readyz", bearer(secret))
    assert json.loads(probe.body) == {"ready": True, "store": "ok"}


@pytest.mark.parametrize(
    ("host", "auth", "is_required"),
    [
        ("127.0.0.1", "auto", False),
        ("127.0.0.9", "auto", False),
        ("localhost", "auto", False),
        ("::1", "auto", False),
        ("0.0.0.0", "auto", True),
        ("::", "auto", True),
        ("10.0.0.7", "auto", True),
        ("shop.example", "auto", True),
        ("127.0.0.1", "required", True),
        ("0.0.0.0", "off", False),
    ],
)
def test_keys_are_required_where_others_reach_the_host(
    host: str, auth: str, is_required: bool
) -> None:
    settings = config.settings(host=host, auth=auth)
    assert settings.http.is_auth_required is is_required
    warned = any("HEADRACE_AUTH=off" in warning for warning in settings.http.warnings())
    assert warned is (auth == "off" and host == "0.0.0.0")
    response = answer_to(router(ring_of()[0], host=host, auth=auth), "POST", "/v1/recommend")
    assert response.status_code == (401 if is_required else 200)


def test_where_none_is_required_a_wrong_key_is_told_so() -> None:
    serving = router(ring_of()[0])
    assert answer_to(serving, "POST", "/v1/recommend", bearer(new_secret())).status_code == 401


def test_a_key_ends_when_it_is_revoked_or_its_days_are_over() -> None:
    clock = [NOW_MS]
    secret, key = issue("shop", ("read",), NOW_MS, days=1)
    other, lasting = issue("till", ("read",), NOW_MS)
    keyring, shelf = ring_of(key, lasting, clock=clock)
    clock[0] += DAY_MS - 1
    assert keyring.find(secret) == key
    clock[0] += 1
    assert keyring.find(secret) is None and keyring.find(other) == lasting
    shelf.keys.remove(lasting)
    keyring.refresh()
    assert keyring.find(other) is None


def test_redis_away_locks_nobody_out_and_lets_nobody_in() -> None:
    secret, key = issue("shop", ("read",), NOW_MS)
    keyring, shelf = ring_of(key)
    serving = router(keyring, auth="required")
    shelf.is_away = True
    keyring.refresh()
    assert keyring.last_error
    assert answer_to(serving, "POST", "/v1/recommend", bearer(secret)).status_code == 200
    assert answer_to(serving, "POST", "/v1/recommend", bearer(new_secret())).status_code == 401
    assert answer_to(serving, "POST", "/v1/recommend").status_code == 401
    shelf.is_away = False
    keyring.refresh()
    assert not keyring.last_error


def test_a_replica_that_never_read_the_keys_says_that_it_cannot_tell() -> None:
    secret, key = issue("shop", ("read",), NOW_MS)
    shelf, own = Shelf(key), new_secret()
    shelf.is_away = True
    keyring = Keyring(shelf, lambda: NOW_MS, own)
    keyring.refresh()
    serving = router(keyring, auth="required")
    response = answer_to(serving, "POST", "/v1/recommend", bearer(secret))
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert answer_to(serving, "POST", "/v1/recommend").status_code == 401
    assert answer_to(serving, "POST", "/v1/recommend", bearer(own)).status_code == 200
    assert answer_to(serving, "POST", "/v1/events", bearer(own)).status_code == 403


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with start_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    monkeypatch.setenv("REDIS_URL", server.url)
    monkeypatch.setenv("HEADRACE_NAMESPACE", "keys")
    with Redis.from_url(server.admin_url) as client:
        client.flushdb()
        yield client


@pytest.mark.services
def test_a_secret_is_shown_once_and_nothing_has_it(
    redis: Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["keys", "create", "shop [bold]", "--scope", "read, write", "--expires", "30"]) == 0
    secret = capsys.readouterr().out.strip()
    assert re.fullmatch(r"hr_[0-9a-f]{12}_[0-9a-f]{64}", secret)
    random = secret.rpartition("_")[2]
    assert random not in str([redis.hgetall(name) for name in redis.keys()])

    keyring = Keyring(KeyStore(redis, "keys"), lambda: NOW_MS)
    keyring.refresh()
    found = keyring.find(secret)
    assert found is not None and found.scopes == ("read", "write")
    keyring.refresh()  # says that it was used

    assert main(["keys", "list", "--json"]) == 0
    listed = capsys.readouterr().out
    document = json.loads(listed)
    assert (document["id"], document["name"]) == (found.id, "shop [bold]")
    assert (document["last_used"], document["state"]) == ("2024-05-01", "valid")
    assert random not in listed and found.digest not in listed
    assert main(["keys", "list"]) == 0
    assert found.id in capsys.readouterr().out

    assert main(["keys", "revoke", found.id]) == 0
    keyring.refresh()
    assert keyring.find(secret) is None
    assert main(["keys", "revoke", found.id]) == 2
    assert "headrace keys list" in capsys.readouterr().err


@pytest.mark.services
def test_what_is_no_key_opens_nothing(redis: Redis) -> None:
    skipped = Skipped()
    secret, key = issue("shop", ("read",), NOW_MS)
    store = KeyStore(redis, "keys", skipped)
    store.add(key)
    keyring = Keyring(store, lambda: NOW_MS)
    redis.hset("keys:api-keys", "junk", b"\xff{")
    damaged = msgspec.structs.replace(key, id="1" * 12, digest="é")
    redis.hset("keys:api-keys", damaged.id, msgspec.json.encode(damaged))
    redis.hset("keys:api-keys", "0" * 12, redis.hget("keys:api-keys", key.id))
    keyring.refresh()
    assert keyring.find(secret) == key and skipped.total() == 2
    for key_id in ("0" * 12, damaged.id):
        assert keyring.find(secret.replace(key.id, key_id)) is None
    redis.delete("keys:api-keys")
    redis.set("keys:api-keys", "another kind of value")
    keyring.refresh()
    assert keyring.last_error and keyring.find(secret) == key


@pytest.mark.parametrize("text", ["", "everything", "read,sudo", ","])
def test_scopes_are_named(text: str) -> None:
    with pytest.raises(ConfigError, match="read, write, admin"):
        scopes_of(text)


@pytest.mark.parametrize(("name", "days"), [("", None), ("a\nb", None), ("a", 0), ("x" * 65, 1)])
def test_a_key_that_nobody_could_use_is_refused(name: str, days: int | None) -> None:
    with pytest.raises(ConfigError, match="expected"):
        issue(name, ("read",), NOW_MS, days)


def test_secrets_are_not_printed_with_the_settings() -> None:
    secret = new_secret()
    assert secret not in repr(config.settings(own_key=secret))
    for text in ("hr_guessable", "hr_guessable\n"):
        with pytest.raises(ConfigError, match="HEADRACE_OWN_KEY") as caught:
            config.load({"HEADRACE_OWN_KEY": text})
        assert "guessable" not in str(caught.value)
