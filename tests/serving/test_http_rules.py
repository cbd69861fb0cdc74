"""What HTTP says of a route follows from the table: methods, types, sizes, times and budgets."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest
from http_door import answer_to, door
from starlette.responses import Response

from headrace.api.slate import RecommendRequest
from headrace.errors import ServiceError
from headrace.services.haproxy import MAX_BODY_BYTES, PLATFORM_HEADER
from serving.http import body as body_rules
from serving.http.body import Bodies
from serving.http.budget import Budget, StandingQueue
from serving.http.problem import Problem, json_response
from serving.http.route import Route
from serving.http.router import Router

JSON = {"content-type": "application/json"}
OURS = "a1b2"


def answered(request: RecommendRequest) -> Response:
    if request.user_id == "broken":
        raise KeyError("a mistake")
    if request.user_id == "away":
        raise ServiceError("the store is away")
    return json_response({"user_id": request.user_id})


@pytest.fixture
def router() -> Router:
    budget = Budget("slates", 1, places=2, deadline_s=1)
    table = (
        Route("POST", "/v1/recommend", RecommendRequest, dict, answered, budget, "read"),
        Route("GET", "/livez", None, dict, lambda _: json_response({}), None, "open"),
    )
    return Router(table, Bodies(timeout_s=0.2), door(platform=OURS))


def posted(router: Router, document: object, headers: dict[str, str] = JSON) -> Response:
    return answer_to(router, "POST", "/v1/recommend", headers, [msgspec.json.encode(document)])


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/v1/recommend", 405, "OPTIONS, POST"),
        ("PUT", "/v1/recommend", 405, "OPTIONS, POST"),
        ("TRACE", "/v1/recommend", 405, "OPTIONS, POST"),
        ("FOO", "/livez", 405, "GET, HEAD, OPTIONS"),
        ("POST", "/livez", 405, "GET, HEAD, OPTIONS"),
        ("OPTIONS", "/v1/recommend", 204, "OPTIONS, POST"),
        ("OPTIONS", "*", 204, "GET, HEAD, OPTIONS, POST"),
        ("HEAD", "/livez", 200, None),
        ("GET", "/livez", 200, None),
        ("GET", "/", 404, None),
        ("POST", "/v1/recommend/", 404, None),
        ("POST", "/v1/recommend\0", 400, None),
    ],
)
def test_methods_and_paths(
    router: Router, method: str, path: str, status: int, allow: str | None
) -> None:
    response = answer_to(router, method, path, JSON, [b'{"user_id": "ann"}'])
    assert (response.status_code, response.headers.get("allow")) == (status, allow)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (JSON, 200),
        ({"content-type": "application/json; charset=utf-8"}, 200),
        ({"content-type": "application/vnd.shop+json"}, 200),
        ({}, 200),  # no browser: it has no Origin
        ({"origin": "http://other.example"}, 403),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": "multipart/form-data; boundary=x"}, 415),
        ({**JSON, "content-encoding": "gzip"}, 415),
    ],
)
def test_a_body_is_json_and_says_so(router: Router, headers: dict[str, str], status: int) -> None:
    response = posted(router, {"user_id": "ann"}, headers)
    assert response.status_code == status
    assert b"curl --json" in response.body or status != 415 or "content-encoding" in headers


def test_errors_are_json_with_their_status(router: Router) -> None:
    for user_id, status in (("", 422), ("broken", 500), ("away", 503)):
        response = posted(router, {"user_id": user_id})
        assert response.status_code == status and response.media_type == "application/json"
        assert "mistake" not in response.body.decode()
    assert (router.traffic.requests, router.traffic.failures) == (3, 2)


def test_a_request_of_another_platform_is_refused(router: Router) -> None:
    for sender, status in ((OURS, 200), ("c3d4", 503)):
        response = posted(router, {"user_id": "ann"}, {**JSON, PLATFORM_HEADER: sender})
        assert response.status_code == status
    assert response.headers["retry-after"] == "1"


def test_a_body_that_is_too_large_or_too_slow_ends_its_connection(router: Router) -> None:
    path, large = "/v1/recommend", [b"x" * (MAX_BODY_BYTES // 2)] * 3
    told = {**JSON, "content-length": str(MAX_BODY_BYTES + 1)}
    for response, status in (
        (answer_to(router, "POST", path, JSON, large), 413),
        (answer_to(router, "POST", path, told), 413),
        (answer_to(router, "POST", path, JSON, [b"{"] * 10, pause_s=0.05), 408),
    ):
        assert response.status_code == status and response.headers["connection"] == "close"
    assert posted(router, {"user_id": "ann"}).status_code == 200


def test_all_bodies_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_rules, "MAX_HELD_BYTES", 10)
    bodies = Bodies(timeout_s=1)

    async def chunks() -> AsyncIterator[bytes]:
        yield b"x" * 6

    async def two_at_once() -> None:
        async with bodies.read({}, chunks()) as held:
            assert held == b"x" * 6
            with pytest.raises(Problem) as caught:
                async with bodies.read({}, chunks()):
                    pass
            assert caught.value.status == 503
        async with bodies.read({}, chunks()):
            pass

    asyncio.run(two_at_once())


def in_turn(*work: Callable[[], str], budget: Budget, first: threading.Event) -> list[object]:
    """What a budget makes of work that is given to it at one time; `first` lets it go."""

    async def run() -> list[object]:
        tasks = [asyncio.create_task(budget.run(one)) for one in work]
        await asyncio.sleep(0.05)
        first.set()
        return list(await asyncio.gather(*tasks, return_exceptions=True))

    return asyncio.run(run())


def test_a_budget_refuses_what_has_no_place_and_what_waited_too_long() -> None:
    clock, go = [0.0], threading.Event()
    budget = Budget("slates", 1, places=3, deadline_s=1, clock=lambda: clock[0])

    def slow() -> str:
        go.wait()
        clock[0] += 5
        return "slow"

    slow_one, late, late_too, refused = in_turn(
        slow, lambda: "late", lambda: "late", lambda: "no place", budget=budget, first=go
    )
    assert slow_one == "slow"
    for problem in (late, late_too, refused):
        assert isinstance(problem, Problem) and problem.status == 503
    assert budget.num_refused == 3
    assert asyncio.run(budget.run(lambda: "well again")) == "well again"


def served(waits_s: list[float], queue: StandingQueue, every_s: float = 0.01) -> list[bool]:
    """Whether each of these, one every so many seconds, is begun after its wait."""
    return [wait <= queue.longest_s(wait, every_s * turn) for turn, wait in enumerate(waits_s)]


def test_what_a_stall_left_waiting_is_served_and_a_queue_that_stands_is_cut_short() -> None:
    stall = [0.0] * 100 + [0.8 - 0.02 * turn for turn in range(40)] + [0.0] * 100
    assert all(served(stall, StandingQueue(deadline_s=1)))

    overload = [0.0] * 100 + [0.3] * 400 + [0.0] * 100
    begun = served(overload, StandingQueue(deadline_s=1))
    assert all(begun[:200]) and not any(begun[300:500])  # it is found within two seconds
    assert all(begun[500:])  # and nobody who does not wait is ever refused

    queue = StandingQueue(deadline_s=1)
    served(overload[:500], queue)
    burst = [queue.longest_s(wait, 9.0) for wait in (0.0, 0.3)]  # long after it was over
    assert burst[1] == 1, "those that come together wait, where nobody has waited before them"
