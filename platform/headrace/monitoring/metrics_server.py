"""The metrics' HTTP server: on loopback for everybody, elsewhere for keys with scope admin.

Metrics name what a business measures. A key that shops and pages read slates with is none for them.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from socketserver import ThreadingMixIn
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from headrace.access.api_keys.ring import Keyring
from headrace.access.api_keys.store import KeyStore
from headrace.access.http import is_loopback
from headrace.access.redis import prompt_redis
from headrace.config import Settings
from headrace.monitoring.exporter import HealthCollector
from headrace.services.ports import require_free
from headrace.settings.variables import variable

REDIS_TIMEOUT_S: Final = 2.0
BEARER: Final = "Bearer "

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@contextmanager
def serve_metrics(settings: Settings, clock: Callable[[], int]) -> Iterator[None]:
    """Answer GET /metrics at `metrics_host` and `metrics_port` meanwhile; with port 0, nothing.

    Raises `ServiceError` where the port is taken.
    """
    if not settings.http.metrics_port:
        yield
        return
    host, port = settings.http.metrics_host, settings.http.metrics_port
    require_free(host, port, "metrics", variable("metrics_port"))
    registry = CollectorRegistry()
    registry.register(HealthCollector(settings, clock))
    application: Application = make_wsgi_app(registry)
    with ExitStack() as stack:
        if not is_loopback(host) and settings.http.auth != "off":
            redis = stack.enter_context(prompt_redis(settings.redis_url, REDIS_TIMEOUT_S))
            keyring = Keyring(KeyStore(redis, settings.namespace), clock)
            keyring.start()
            stack.callback(keyring.close)
            application = for_admins(application, keyring)
        server = make_server(host, port, application, _server_of(host), _Quiet)
        stack.enter_context(server)
        thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
        thread.start()
        stack.callback(thread.join)
        stack.callback(server.shutdown)
        yield


def for_admins(application: Application, keyring: Keyring) -> Application:
    """The application for requests with a key of scope admin; 401 or 403 for others."""

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        given = str(environ.get("HTTP_AUTHORIZATION", ""))
        key = keyring.find(given.removeprefix(BEARER).strip())
        if key is not None and "admin" in key.scopes:
            return application(environ, start)
        status = "403 Forbidden" if key else "401 Unauthorized"
        told = b"metrics ask for a key: headrace keys create NAME --scope admin\n"
        start(status, [("WWW-Authenticate", 'Bearer realm="headrace"'), _length(told)])
        return [told]

    return answer


def _length(body: bytes) -> tuple[str, str]:
    return "Content-Length", str(len(body))


class _Quiet(WSGIRequestHandler):
    timeout = 10  # of a client that does not send its request

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: not every scrape, and nobody's address."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Server6(_Server):
    address_family = socket.AF_INET6


def _server_of(host: str) -> type[_Server]:
    return _Server6 if ":" in host else _Server
