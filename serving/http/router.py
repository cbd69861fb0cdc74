"""The router: from a request to its route's answer, or HTTP's own where there is none."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from headrace.api.slate import InvalidRequest
from headrace.errors import InvalidEvent, ServiceError
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
        for route in table:
            self._by_path.setdefault(route.path, {})[route.method] = route

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
        except (InvalidRequest, InvalidEvent) as error:
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
        methods = self._by_path.get(path)
        if methods is None and path != "*":
            raise Problem(404, f"no {path[:200]}; there are {self._known}")
        if request.method == "OPTIONS":
            return self._options(headers, _allowed(methods))
        route = (methods or {}).get(HEAD_OF if request.method == "HEAD" else request.method)
        if route is None:
            told = f"no {request.method[:20]} {path}; there are {self._known}"
            raise Problem(405, told, headers={"Allow": _allowed(methods)})
        self._door.require(headers, peer, route)
        if route.request is None:
            return await _settled(route.handler(self._door.auth.may_read(headers)))
        require_json(headers)
        async with self._bodies.read(headers, request.stream()) as body:
            return await _posted(route, body)

    def _options(self, headers: Mapping[str, str], allowed: str) -> Response:
        """The answer to OPTIONS: the methods there are, for a browser's CORS preflight as well."""
        given = {"Allow": allowed}
        if self._door.site.is_preflight(headers):
            given |= {"Access-Control-Allow-Methods": allowed, **PREFLIGHT}
        return Response(status_code=204, headers=given)


async def _posted(route: Route, body: Body) -> Response:
    handler, budget = route.handler, route.budget
    assert budget is not None, f"{route.path} takes bodies from no budget"
    return await _settled(await budget.run(lambda: handler(route.read(body))))


async def _settled(answer: Answer) -> Response:
    return answer if isinstance(answer, Response) else await answer


def _headers(request: Request) -> dict[str, str]:
    """The headers by name in lower case, of one that came twice the first: each is asked for
    several times, and Starlette's own look through all of them each time."""
    given: list[tuple[bytes, bytes]] = request.scope["headers"]
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(given)}


def _allowed(methods: Mapping[str, Route] | None) -> str:
    """The value of Allow; that of the server as a whole for no path in particular."""
    given = set(methods) if methods else {HEAD_OF, "POST"}
    return ", ".join(sorted(given | {"OPTIONS"} | ({"HEAD"} if HEAD_OF in given else set())))


def told_without_values(error: Exception) -> str:
    """An error's type and traceback, without its message: that may hold a client's data."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"a request could not be answered, {type(error).__name__}:\n{frames}"
