"""Host and Origin checks of requests, and the CORS and security headers of their answers.

A page of any site may make its visitor's browser send requests to this machine or network. The
Host check refuses those of a name that was made to point here (DNS rebinding), the Origin check
those of pages that nobody named.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from headrace.access.http import HttpAccess
from headrace.services.haproxy_config import SECURITY_HEADERS
from serving.http.problem import Problem

ASKED_METHOD: Final = "access-control-request-method"
PREFLIGHT: Final = {
    "Access-Control-Allow-Headers": "authorization, content-type, x-api-key",
    "Access-Control-Max-Age": "600",
}
EXPOSED: Final = "Retry-After"


class Site:
    """Checks Host and Origin by the settings, and writes the CORS and security headers."""

    def __init__(self, access: HttpAccess) -> None:
        self._hosts, self._origins = access.host_names, access.origin_names
        told = {**SECURITY_HEADERS, "Vary": "Origin"}
        self._told = [(name.lower().encode(), text.encode()) for name, text in told.items()]

    def require(self, headers: Mapping[str, str]) -> None:
        """Raises `Problem`: 421 for a name that is not this server's, 403 for a foreign page."""
        host = headers.get("host")
        if self._hosts and host is not None and _name(host) not in self._hosts:
            raise Problem(
                421, f"this server is not {host[:100]!r}: name it in HEADRACE_ALLOWED_HOSTS"
            )
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in self._origins:
            raise Problem(
                403, f"pages of {origin[:100]!r} may not ask: name it in HEADRACE_CORS_ORIGINS"
            )

    def is_preflight(self, headers: Mapping[str, str]) -> bool:
        """Whether a request is a CORS preflight."""
        return "origin" in headers and ASKED_METHOD in headers

    def finish(self, headers: Mapping[str, str], response: Response) -> None:
        """Add the security headers to an answer, and the CORS headers for a named page."""
        response.raw_headers.extend(self._told)
        origin = headers.get("origin")
        if origin is not None and origin.lower() in self._origins:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = EXPOSED


def _name(host: str) -> str:
    """The name within a Host header, without its port."""
    name, colon, port = host.lower().rpartition(":")
    is_name = not colon or not port.isdecimal() or (":" in name and not name.endswith("]"))
    return (host.lower() if is_name else name).rstrip(".")
