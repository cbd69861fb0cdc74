"""Host, Origin and what browsers are told: pages that nobody named neither ask nor read."""

from __future__ import annotations

import pytest
from http_door import answer_to, door
from starlette.responses import Response

from headrace import config
from headrace.errors import ConfigError
from serving.http.body import Bodies
from serving.http.budget import Budget
from serving.http.problem import json_response
from serving.http.route import Route
from serving.http.router import Router

SHOP = "https://shop.example"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}


def well(_: bytes) -> Response:
    return json_response({})


def mistaken(body: bytes) -> Response:
    raise KeyError(body)


def router(**settings: object) -> Router:
    budget = Budget("slates", 1, places=2, deadline_s=1)
    table = (
        Route("POST", "/v1/recommend", dict, dict, well, budget, "read", reader=bytes),
        Route("POST", "/v1/ads", dict, dict, mistaken, budget, "write", reader=bytes),
    )
    return Router(table, Bodies(timeout_s=1), door(**settings))


def status(serving: Router, **headers: str) -> int:
    given = {"Content-Type": "application/json", **headers}
    return answer_to(serving, "POST", "/v1/recommend", given).status_code


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", 200),
        ("localhost:8000", 200),
        ("LOCALHOST.:8000", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:8000", 200),
        ("[::1]", 200),
        ("rebound.example:8000", 421),
        ("localhost.evil.example", 421),
        ("localhost:8000.evil.example", 421),
        ("evil.example:localhost", 421),
        ("10.0.0.7:8000", 421),
        ("0.0.0.0:8000", 421),
        ("", 421),
    ],
)
def test_on_loopback_only_names_of_loopback_are_answered(host: str, expected: int) -> None:
    assert status(router(), Host=host) == expected


def test_elsewhere_any_name_is_until_some_are_given() -> None:
    open_to_all = {"host": "0.0.0.0", "auth": "off"}
    assert status(router(**open_to_all), Host="api.shop.example") == 200
    named = router(**open_to_all, allowed_hosts="api.shop.example, [2001:db8::1]")
    assert status(named, Host="API.shop.example:8443") == 200
    assert status(named, Host="[2001:db8::1]") == 200
    assert status(named, Host="localhost") == 421
    assert status(router(host="127.0.0.9"), Host="127.0.0.9:8000") == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "", "http://localhost:8000"])
def test_a_page_that_nobody_named_is_refused_and_may_read_nothing(origin: str) -> None:
    for method, more in (("POST", {}), ("OPTIONS", PREFLIGHT)):
        headers = {"Content-Type": "application/json", "Origin": origin, **more}
        response = answer_to(router(cors_origins=SHOP), method, "/v1/recommend", headers)
        assert response.status_code == 403 and b"HEADRACE_CORS_ORIGINS" in response.body
        assert not [name for name in response.headers if name.startswith("access-control")]
        assert response.headers["vary"] == "Origin"


def test_a_named_page_may_ask_and_read_also_what_is_wrong() -> None:
    serving = router(cors_origins=f"{SHOP}/, http://localhost:3000", auth="required")
    for origin in (SHOP, "http://localhost:3000"):
        asked = answer_to(serving, "OPTIONS", "/v1/recommend", {"Origin": origin, **PREFLIGHT})
        assert asked.status_code == 204
        told = {name: asked.headers[f"access-control-allow-{name}"] for name in ALLOWED}
        assert told["origin"] == origin and "POST" in told["methods"]
        assert {"authorization", "x-api-key", "content-type"} <= set(told["headers"].split(", "))
        assert "access-control-allow-credentials" not in asked.headers
        response = answer_to(serving, "POST", "/v1/recommend", {"Origin": origin})
        assert response.status_code == 401
        assert response.headers["access-control-allow-origin"] == origin
        assert response.headers["vary"] == "Origin"


ALLOWED = ("origin", "methods", "headers")


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/recommend"), ("GET", "/"), ("PUT", "/v1/ads"), ("OPTIONS", "*")],
)
def test_every_answer_tells_browsers_to_keep_and_run_nothing(method: str, path: str) -> None:
    headers = answer_to(router(), method, path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"


def test_a_mistake_is_logged_by_its_place_and_without_what_a_client_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    secret = b'{"user_id": "u1", "bought": "a ring"}'
    assert answer_to(router(), "POST", "/v1/ads", chunks=[secret]).status_code == 500
    assert "KeyError" in caplog.text and "in mistaken" in caplog.text
    assert "bought" not in caplog.text


@pytest.mark.parametrize(
    "given",
    [
        {"HEADRACE_CORS_ORIGINS": "*"},
        {"HEADRACE_CORS_ORIGINS": "shop.example"},
        {"HEADRACE_CORS_ORIGINS": "https://shop.example/page"},
        {"HEADRACE_ALLOWED_HOSTS": "http://shop.example"},
        {"HEADRACE_ALLOWED_HOSTS": "shop.example:80"},
        {"HEADRACE_TLS_KEY": "key.pem"},
        {"HEADRACE_TLS_CERT": "/nowhere/cert.pem"},
        {"HEADRACE_AUTH": "maybe"},
    ],
)
def test_a_setting_that_would_not_mean_what_it_says_is_refused(given: dict[str, str]) -> None:
    (name,) = given
    with pytest.raises(ConfigError, match=name):
        config.load(given)
