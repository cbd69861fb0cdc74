"""Problems: error responses, as JSON with a status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from headrace.api.slate import to_json
from headrace.errors import HeadraceError

RETRY_AFTER_S: Final = 1


class Problem(HeadraceError):
    """An answer with the status of an error; `more` goes into its body beside `error`."""

    def __init__(
        self,
        status: int,
        error: str,
        more: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(error)
        self.status, self.more, self.headers = status, dict(more or {}), dict(headers or {})

    def response(self) -> Response:
        """The answer: `{"error": ...}`, in `field` the path of a field at fault."""
        return json_response({"error": str(self), **self.more}, self.status, self.headers)


def busy(error: str, more: Mapping[str, Any] | None = None) -> Problem:
    """503: not now; the same request may be sent again after `Retry-After`."""
    return Problem(503, error, more, {"Retry-After": str(RETRY_AFTER_S)})


def closing(status: int, error: str) -> Problem:
    """The answer to a body that is not read to its end: the connection cannot go on."""
    return Problem(status, error, headers={"Connection": "close"})


def json_response(
    document: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """An answer as JSON."""
    given = dict(headers or {})
    return Response(to_json(document), status, given, media_type="application/json")
