"""The Ray Serve deployment: one, whose replicas answer every route in their own process.

The process that deploys imports nothing of what a replica stands on: torch and the rest would cost
it seconds.
"""

from __future__ import annotations

from typing import Final

from ray import serve
from ray.serve.config import BackpressureConfig
from ray.serve.schema import LoggingConfig
from starlette.requests import Request
from starlette.responses import Response

from headrace.config import Settings

HEALTH_EVERY_S: Final = 1.0
HEALTH_TIMEOUT_S: Final = 1.0  # a replica that is silent three times is replaced


class Replica:
    """A replica as Ray Serve calls it; `serving.app.Gateway` is what it does."""

    def __init__(self, settings: Settings) -> None:
        from serving.app import Gateway

        self._gateway = Gateway(settings)

    async def __call__(self, request: Request) -> Response:
        """Answer one request."""
        return await self._gateway.answer(request)

    def check_health(self) -> None:
        """Raises `ServiceError` for a replica that must be replaced; Ray asks."""
        self._gateway.check_health()

    def __del__(self) -> None:
        """End the work beside the requests: Ray calls it for a replica that was not killed."""
        if hasattr(self, "_gateway"):
            self._gateway.close()


def build(settings: Settings) -> serve.Application:
    """The application of these settings.

    Ray counts connections and not routes: its bounds lie far above those of the budgets, which
    refuse by route. With `max_ongoing_requests` as the bound, bodies that do not end would hold
    the places of everybody.
    """
    deployment = serve.deployment(Replica).options(
        num_replicas=settings.serving.num_replicas,
        max_ongoing_requests=1_000,
        max_queued_requests=100,
        backpressure_config=BackpressureConfig(status_code=503, retry_after_s=1),
        health_check_period_s=HEALTH_EVERY_S,
        health_check_timeout_s=HEALTH_TIMEOUT_S,
        graceful_shutdown_timeout_s=5.0,
        ray_actor_options={"num_cpus": 0.5},
        logging_config=LoggingConfig(enable_access_log=False),  # no client's address in a file
    )
    application: serve.Application = deployment.bind(settings)
    return application
