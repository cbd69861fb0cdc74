"""The HTTP probe: whether a platform's API answers, and whether it is this platform's."""

from __future__ import annotations

from http.client import HTTPException
from typing import Any, Final

import msgspec

from headrace.api.front import Front

TIMEOUT_S: Final = 2.0


class Health(msgspec.Struct, frozen=True):
    """One answer of `GET /healthz`: the JSON document, and the fault, empty if there is none."""

    said: str
    answer: dict[str, Any] = {}

    @property
    def is_ok(self) -> bool:
        """Whether a replica of this platform answered with 200."""
        return not self.said


def probe(front: Front, namespace: str, timeout_s: float = TIMEOUT_S) -> Health:
    """Probes the health of the API; an answer of another namespace is a fault."""
    connection, port = front.connect(timeout_s), front.access.port
    try:
        connection.request("GET", "/healthz", headers=front.headers)
        response = connection.getresponse()
        body = response.read(100_000)
    except (OSError, HTTPException) as error:
        return Health(f"no answer on port {port} ({error or type(error).__name__})")
    finally:
        connection.close()
    try:
        answer = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        answer = {}
    if answer.get("namespace", namespace) != namespace:
        return Health(f"port {port} is answered by another platform, {answer['namespace']!r}")
    if response.status != 200:
        return Health(f"port {port} answers {response.status}", answer)
    return Health("", answer)
