"""Rates: how often a key or an address may ask, on a clock of the test's own."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from http_door import Shelf, answer_to, door
from starlette.responses import Response

from headrace.access.api_keys.key import issue
from headrace.access.api_keys.ring import Keyring
from serving.http.body import Bodies
from serving.http.budget import Budget
from serving.http.problem import Problem, json_response
from serving.http.rate import BURST_S, MAX_CALLERS, Rate, caller_of
from serving.http.route import Route
from serving.http.router import Router

OURS = "a1b2"


def taken(rate: Rate, caller: str, num: int) -> int:
    """How many of these requests are let through."""
    passed = 0
    for _ in range(num):
        try:
            rate.take(caller)
            passed += 1
        except Problem as problem:
            assert problem.status == 429
    return passed


def test_a_caller_has_a_burst_and_then_his_rate() -> None:
    clock = [0.0]
    rate = Rate("this key", per_s=10, clock=lambda: clock[0])
    assert taken(rate, "a", 100) == 10 * BURST_S
    assert taken(rate, "b", 1) == 1  # another's bucket is full
    for _ in range(5):
        clock[0] += 0.5
        assert taken(rate, "a", 100) == 5
    clock[0] += 1_000
    assert taken(rate, "a", 100) == 10 * BURST_S


@pytest.mark.parametrize(("per_s", "wait_s"), [(10, 1), (1, 1), (0.1, 10), (0.01, 100)])
def test_the_answer_says_when_to_ask_again(per_s: float, wait_s: int) -> None:
    rate = Rate("ads", per_s, clock=lambda: 0.0)
    taken(rate, "a", 1_000)
    with pytest.raises(Problem, match="ads") as caught:
        rate.take("a")
    assert caught.value.headers["Retry-After"] == str(wait_s)


def test_zero_is_no_limit() -> None:
    assert taken(Rate("this key", 0, clock=lambda: 0.0), "a", 10_000) == 10_000


def test_callers_without_number_are_forgotten_oldest_first() -> None:
    clock = [0.0]
    rate = Rate("this address", per_s=0.2, clock=lambda: clock[0])
    assert taken(rate, "busy", 3) == 1
    for number in range(3 * MAX_CALLERS):
        rate.take(f"address {number}")
        if number % 1_000 == 0:
            assert taken(rate, "busy", 1) == 0  # asks on, and is remembered
    assert len(rate._buckets) == MAX_CALLERS


@pytest.mark.parametrize(
    ("address", "caller"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("127.0.0.1", ""),
        ("::1", ""),
        ("", ""),
    ],
)
def test_whose_an_address_is(address: str, caller: str) -> None:
    assert caller_of(address) == caller


def router(keyring: Keyring | None = None, **settings: object) -> Router:
    budget = Budget("slates", 1, places=2, deadline_s=1)
    ads_rate = Rate("ads", 0.4, clock=lambda: 0.0)
    table = (
        Route("POST", "/v1/recommend", dict, dict, accepted, budget, "read", reader=bytes),
        Route("POST", "/v1/ads", dict, dict, accepted, budget, "write", ads_rate, bytes),
    )
    return Router(table, Bodies(timeout_s=1), door(keyring, platform=OURS, **settings))


def accepted(_: bytes) -> Response:
    return json_response({})


def statuses(serving: Router, headers: Sequence[dict[str, str]], path: str) -> list[int]:
    return [answer_to(serving, "POST", path, given).status_code for given in headers]


def test_an_address_counts_as_our_proxy_tells_it_and_nobody_else() -> None:
    serving = router(rate_per_address=0.01)
    ours = {"X-Headrace-Platform": OURS}
    one, other = "203.0.113.1", "203.0.113.2"
    sent = [
        {**ours, "X-Forwarded-For": one},
        {**ours, "X-Forwarded-For": one},
        {**ours, "X-Forwarded-For": f"{one}, {other}"},  # who is in front of the proxy can write it
        {"X-Forwarded-For": one},  # not by way of the proxy: from this machine
    ]
    assert statuses(serving, sent, "/v1/recommend") == [200, 429, 200, 200]


def test_a_key_has_a_rate_of_its_own() -> None:
    (one, first), (other, second) = (issue(name, ("read",), 0) for name in ("one", "other"))
    keyring = Keyring(Shelf(first, second), lambda: 0)
    keyring.refresh()
    serving = router(keyring, rate_per_key=0.01, auth="required")
    sent = [{"X-API-Key": secret} for secret in (one, one, other)] + [{}]
    assert statuses(serving, sent, "/v1/recommend") == [200, 429, 200, 401]


def test_ads_which_spend_money_have_a_rate_of_their_own() -> None:
    serving = router()
    assert statuses(serving, [{}] * 4, "/v1/ads") == [200, 200, 429, 429]
    assert statuses(serving, [{}] * 4, "/v1/recommend") == [200] * 4


def test_who_reads_may_not_have_ads() -> None:
    from serving.http.routes import routes

    class Replica:
        """What the table asks for; nothing of it is called."""

        def __getattr__(self, name: str) -> None:
            return None

    every = {(route.method, route.path): route.scope for route in routes(Replica())}
    documents = {
        (method, f"/v1/{kind}{end}"): "read" if method == "GET" else "write"
        for kind in ("items", "users")
        for method, end in (("PUT", ""), ("PATCH", ""), ("GET", "/{id}"), ("DELETE", "/{id}"))
    }
    assert documents.items() <= every.items()
    scopes = {path: scope for (method, path), scope in every.items() - documents.items()}
    assert scopes == {
        **dict.fromkeys(("/v1/recommend", "/v1/rank", "/v1/similar", "/v1/trending"), "read"),
        "/v1/ads": "write",
        "/v1/events": "write",
        "/livez": "open",
        "/readyz": "open",
        "/healthz": "read",
        "/openapi.json": "open",
    }
