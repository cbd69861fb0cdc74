"""Health checks of a replica: liveness, readiness, and the current errors of its dependencies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.responses import Response

from headrace.api.health import Healthz, Livez, Readyz
from headrace.config import Settings
from serving.http.problem import busy, json_response
from serving.replica.follow import Live

Errors = Mapping[str, Callable[[], str]]  # by what it is about; empty while nothing is wrong


class Health:
    """Answers for a replica; each of `errors` is cleared by whoever says it when it is over."""

    def __init__(
        self, settings: Settings, live: Live, errors: Errors, held: Callable[[], str]
    ) -> None:
        self._settings, self._live = settings, live
        self._errors, self._held = errors, held

    @property
    def error(self) -> str:
        """The current error, the first of several; empty when there is none."""
        return next(filter(None, (error() for error in self._errors.values())), "")

    @property
    def model_version(self) -> int:
        """The version that is served, 0 while there is none."""
        model = self._live.snapshot.model
        return model.manifest.version if model else 0

    def livez(self) -> Response:
        """200: this process answers."""
        return json_response(Livez())

    def readyz(self, may_read: bool) -> Response:
        """200 from the first model on, or before it where that was decided; 503 until then.

        What is away makes answers poorer, and a replica no less ready than the others: it is said
        to whom it concerns.
        """
        document: dict[str, Any] = {}
        if may_read:
            states = {name: error() or "ok" for name, error in self._errors.items()}
            document = {"model_version": self.model_version, **states}
        if not self.model_version and not self._settings.serving.ready_without_model:
            raise busy("there is no model yet", document)
        return json_response(Readyz(ready=True, **document))

    def healthz(self) -> Response:
        """200 with the health report."""
        return json_response(
            Healthz(self._settings.namespace, self.model_version, self._held(), self.error)
        )
