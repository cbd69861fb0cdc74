"""A client of the API: each row of the table of routes is a call.

    with Client("https://shop.example:8000", key="hr_...", ca_file="ca.pem") as client:
        slate = client.recommend(RecommendRequest(user_id="196", num_items=5))
        client.post_events(ClickEvent(new_id(), now_ms(), "196", slate.items[0].item_id))

An answer is the struct that the row names, a failure an exception. One client may be shared by
threads; connections are kept open and trusted as the system trusts, or by `ca_file`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any, Final, Self, TypeVar

import msgspec
import urllib3
from urllib3.exceptions import HTTPError
from urllib3.util import Timeout

from headrace.api.endpoint import Endpoint
from headrace.api.fault import Fault
from headrace.api.routes import Routes
from headrace.errors import HeadraceError, ServiceError

TIMEOUT_S: Final = 10.0
LEAST_S: Final = 0.001  # that is left for an answer after a pause
NOT_NOW: Final = (429, 503)
MAX_CONNECTIONS: Final = 8  # that are kept open
Answer = TypeVar("Answer")


class ApiError(HeadraceError):
    """An answer that is no success: its status, and the body that says why."""

    def __init__(self, told: str, status: int, fault: Fault) -> None:
        super().__init__(told)
        self.status, self.fault = status, fault


class KeyRefused(ApiError):
    """No valid key, or one of another scope (401, 403)."""


class RequestRefused(ApiError):
    """A request that is wrong however often it is sent; `fault.field` is the field at fault."""


class Busy(ApiError):
    """Not now (429, 503); the same request may be sent again after `retry_after_s`."""

    def __init__(self, told: str, status: int, fault: Fault, retry_after_s: float) -> None:
        super().__init__(told, status, fault)
        self.retry_after_s = retry_after_s


class Unanswered(ServiceError):
    """No answer, or none in time: the request may have been done, or not."""


class Client(Routes):
    """Calls of the API at an address, such as http://127.0.0.1:8000.

    `timeout_s` is the time of a call. Where the answer is "not now" (429, 503), the request is sent
    again after the pause that the answer names, as long as the time lasts. Raises `ApiError` for an
    answer that is no success, `Unanswered` where none comes.
    """

    def __init__(
        self,
        address: str,
        key: str = "",
        ca_file: str = "",
        timeout_s: float = TIMEOUT_S,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._address, self._timeout_s = address.rstrip("/"), timeout_s
        self._clock, self._pause = clock, pause
        self._headers = {"Content-Type": "application/json"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._pool = urllib3.PoolManager(
            maxsize=MAX_CONNECTIONS, retries=False, ca_certs=ca_file or None
        )

    def send(self, endpoint: Endpoint[Answer], posted: Any) -> Answer:
        """The answer of a route to what is posted, None where nothing is."""
        body = None if endpoint.request is None else msgspec.json.encode(posted)
        ends_s = self._clock() + self._timeout_s
        while True:
            response = self._asked(endpoint, body, ends_s - self._clock())
            if response.status == endpoint.status:
                return _answer(endpoint, response)
            error = _error(endpoint, response)
            if not isinstance(error, Busy) or self._clock() + error.retry_after_s >= ends_s:
                raise error
            self._pause(error.retry_after_s)

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _asked(
        self, endpoint: Endpoint[Any], body: bytes | None, left_s: float
    ) -> urllib3.BaseHTTPResponse:
        try:
            return self._pool.request(
                endpoint.method,
                self._address + endpoint.path,
                body=body,
                headers=self._headers,
                timeout=Timeout(total=max(left_s, LEAST_S)),
            )
        except (HTTPError, OSError) as error:
            told = f"{_named(endpoint)} was not answered at {self._address} ({error})"
            raise Unanswered(f"{told}: is it running, and is this its address?") from error


def new_id() -> str:
    """An id for an event. The same event sent again under its id counts once."""
    return uuid.uuid4().hex


def _answer(endpoint: Endpoint[Answer], response: urllib3.BaseHTTPResponse) -> Answer:
    try:
        answer: Answer = msgspec.json.decode(response.data, type=endpoint.answer)
    except msgspec.MsgspecError as error:
        told = f"{_named(endpoint)} answered {response.status} with something else ({error})"
        advice = "does the server run another version of headrace than the client?"
        raise Unanswered(f"{told}: {advice}") from None
    return answer


def _error(endpoint: Endpoint[Any], response: urllib3.BaseHTTPResponse) -> ApiError:
    try:
        fault = msgspec.json.decode(response.data, type=Fault)
    except (msgspec.MsgspecError, UnicodeDecodeError):  # of a proxy in front
        fault = Fault(response.data[:200].decode(errors="replace").strip())
    field = f" (field {fault.field})" if fault.field else ""
    told = f"{_named(endpoint)} answered {response.status}: {fault.error}{field}"
    if response.status in NOT_NOW:
        return Busy(told, response.status, fault, _seconds(response.headers.get("Retry-After")))
    if response.status in (401, 403):
        return KeyRefused(told, response.status, fault)
    return (RequestRefused if response.status < 500 else ApiError)(told, response.status, fault)


def _seconds(retry_after: str | None) -> float:
    """The seconds of a Retry-After header; a second where it names none, as one with a date."""
    return float(retry_after) if retry_after and retry_after.isdigit() else 1.0


def _named(endpoint: Endpoint[Any]) -> str:
    return f"{endpoint.method} {endpoint.path}"
