"""The router: from a request to its route's answer, or HTTP's own where there is none."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from headrace.api.slate import InvalidRequest, parse_query
from headrace.errors import InvalidDocument, InvalidEvent, ServiceError
from headrace.event import MAX_ID
from headrace.metrics.latency import Latencies
from serving.http.body import Bodies, Body, require_json
from serving.http.door import Door
from serving.http.problem import Problem, busy
from serving.http.route import Answer, Route
from serving.http.site import PREFLIGHT

HEAD_OF: Final = "GET"

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Traffic:
    """The counts and latencies of the answers so far."""

    requests: int = 0
    failures: int = 0  # answered with 500 or above
    latencies: Latencies = field(default_factory=Latencies)


class Router:
    """Answers every request that the door lets in, with a `Problem` as JSON where it cannot be
    answered otherwise."""

    def __init__(self, table: Sequence[Route], bodies: Bodies, door: Door) -> None:
        self.traffic = Traffic()
        self._bodies, self._door = bodies, door
        self._known = ", ".join(f"{route.method} {route.path}" for route in table)
        self._by_path: dict[str, dict[str, Route]] = {}
        self._by_prefix: dict[str, dict[str, Route]] = {}
        for route in table:
            known, path = (self._by_prefix, route.prefix) if route.prefix else (self._by_path, "")
            known.setdefault(path or route.path, {})[route.method] = route
        self._methods = {route.method: route for route in table}

    async def answer(self, request: Request) -> Response:
        """The answer to one request; it never raises."""
        started_s = time.perf_counter()
        headers = _headers(request)
        response = await self._safely(request, headers)
        self._door.site.finish(headers, response)
        self.traffic.requests += 1
        self.traffic.failures += response.status_code >= 500
        self.traffic.latencies.add((time.perf_counter() - started_s) * 1_000)
        return response

    async def _safely(self, request: Request, headers: Mapping[str, str]) -> Response:
        try:
            return await self._routed(request, headers)
        except Problem as problem:
            return problem.response()
        except (InvalidRequest, InvalidEvent, InvalidDocument) as error:
            return Problem(422, str(error), {"field": error.field}).response()
        except ServiceError as error:
            return busy(str(error)).response()
        except Exception as error:  # a mistake of ours: the client learns nothing of it
            log.error("%s", told_without_values(error))
            return Problem(500, "this request could not be answered").response()

    async def _routed(self, request: Request, headers: Mapping[str, str]) -> Response:
        path, peer = request.scope["path"], request.client.host if request.client else ""
        self._door.enter(headers, peer)
        if "\0" in path:
            raise Problem(400, "a path has no NUL")
        methods, id_ = self._found(path)
        if methods is None and path != "*":
            raise Problem(404, f"no {path[:200]}; there are {self._known}")
        if request.method == "OPTIONS":
            return self._options(headers, _allowed(methods or self._methods))
        route = (methods or {}).get(HEAD_OF if request.method == "HEAD" else request.method)
        if route is None:
            told = f"no {request.method[:20]} {path}; there are {self._known}"
            raise Problem(405, told, headers={"Allow": _allowed(methods or self._methods)})
        self._door.require(headers, peer, route)
        if route.prefix:
            return await _budgeted(route, lambda: route.handler(_whole(id_)))
        if route.query is not None:
            asked = parse_query(request.query_params, route.query)
            return await _budgeted(route, lambda: route.handler(asked))
        if route.request is None:
            return await _settled(route.handler(self._door.auth.may_read(headers)))
        require_json(headers)
        async with self._bodies.read(headers, request.stream()) as body:
            return await _posted(route, body)

    def _found(self, path: str) -> tuple[dict[str, Route] | None, str]:
        """The routes of a path by method, None for none, and the id that ends it, if one does."""
        if path in self._by_path:
            return self._by_path[path], ""
        for prefix, methods in self._by_prefix.items():
            if path.startswith(prefix) and len(path) > len(prefix):
                return methods, path[len(prefix) :]
        return None, ""

    def _options(self, headers: Mapping[str, str], allowed: str) -> Response:
        """The answer to OPTIONS: the methods there are, for a browser's CORS preflight as well."""
        given = {"Allow": allowed}
        if self._door.site.is_preflight(headers):
            given |= {"Access-Control-Allow-Methods": allowed, **PREFLIGHT}
        return Response(status_code=204, headers=given)


async def _posted(route: Route, body: Body) -> Response:
    return await _budgeted(route, lambda: route.handler(route.read(body)))


async def _budgeted(route: Route, work: Callable[[], Answer]) -> Response:
    budget = route.budget
    assert budget is not None, f"{route.path} works in no budget"
    return await _settled(await budget.run(work))


def _whole(id_: str) -> str:
    """The id that a path ends with; raises `Problem` where it can be none."""
    if len(id_) > MAX_ID:
        raise Problem(404, f"an id has at most {MAX_ID} characters, got {len(id_)}")
    return id_


async def _settled(answer: Answer) -> Response:
    return answer if isinstance(answer, Response) else await answer


def _headers(request: Request) -> dict[str, str]:
    """The headers by name in lower case, of one that came twice the first: each is asked for
    several times, and Starlette's own look through all of them each time."""
    given: list[tuple[bytes, bytes]] = request.scope["headers"]
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(given)}


def _allowed(methods: Mapping[str, Route]) -> str:
    """The value of Allow."""
    given = set(methods)
    return ", ".join(sorted(given | {"OPTIONS"} | ({"HEAD"} if HEAD_OF in given else set())))


def told_without_values(error: Exception) -> str:
    """An error's type and traceback, without its message: that may hold a client's data."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"a request could not be answered, {type(error).__name__}:\n{frames}"
