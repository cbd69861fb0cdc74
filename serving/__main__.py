"""`headrace serve`: runs the application until it is stopped."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from headrace import config
from headrace.ads.campaign import read_campaigns
from headrace.api.front import Front
from headrace.broker.topics import create_topics
from headrace.catalogue.table.shared import open_catalogue
from headrace.catalogue.vectors import ContentVectors
from headrace.errors import ConfigError, HeadraceError
from headrace.services.haproxy import serve_environment, short_folder
from headrace.services.ports import LOOPBACK
from headrace.services.ray_node import wait_for_own_ray

NO_TLS = (
    "HEADRACE_TLS_CERT has no effect in the Ray that RAY_ADDRESS names, whose HAProxy is its own: "
    "unset it and let a proxy in front have the certificate, or unset RAY_ADDRESS"
)


def main() -> int:
    """Deploy, say where it listens, wait for a signal, take it down."""
    with short_folder() as folder:
        try:
            _run(_prepared(Path(folder)))
        except HeadraceError as error:
            print(f"headrace serve: {error}", file=sys.stderr)
            return 2
    return 0


def _prepared(folder: Path) -> config.Settings:
    """The settings, once all that can be wrong before anything runs was looked at.

    Ray Serve takes its switches from the environment when it is imported, so they are set here. A
    Ray that runs already was started with its own, by `headrace up` or by whoever set the cluster
    up; only a Ray of this process's own needs them.
    """
    settings = config.load()
    settings.http.require_tls_files()
    if "RAY_ADDRESS" not in os.environ:
        os.environ.update(serve_environment(folder, settings.http))
        settings = config.load()
    elif settings.http.tls_cert and not settings.serving.platform:
        raise ConfigError(NO_TLS)
    for warning in settings.http.warnings():
        print(f"warning: {warning}", file=sys.stderr, flush=True)
    items, _ = open_catalogue(config.catalogue_path(settings), settings.namespace)
    read_campaigns(settings.campaigns, items)
    ContentVectors.of(settings)
    create_topics(settings)
    return settings


def _run(settings: config.Settings) -> None:
    import ray
    from ray import serve
    from ray.serve.config import HTTPOptions

    from serving.deployment import build

    wait_for_own_ray()
    ray.init(**config.ray_options())
    is_own = settings.serving.platform and ray.util.get_node_ip_address() == LOOPBACK
    host = LOOPBACK if is_own else settings.http.host  # of replicas; our HAProxy knows its own
    serve.start(http_options=HTTPOptions(host=host, port=settings.http.port))
    serve.run(build(settings), name="headrace", route_prefix="/")
    print(f"serving on {Front(settings.http).address}", flush=True)
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    stopping.wait()
    serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    sys.exit(main())
