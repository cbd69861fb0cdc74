"""`headrace serve`: runs the application until it is stopped."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from headrace import config
from headrace.broker import create_topics
from headrace.datasets.catalogue import read_items
from headrace.errors import HeadraceError
from headrace.model.content_vectors import ContentVectors
from headrace.services.haproxy import serve_environment, short_folder

# Ray Serve reads these when it is imported. A Ray that runs already was started with its own, by
# `headrace up` or by whoever set the cluster up; only a Ray of this process's own needs them here.
_haproxy_files = short_folder()
if "RAY_ADDRESS" not in os.environ:
    os.environ.update(serve_environment(Path(_haproxy_files.name)))

import ray  # noqa: E402
from ray import serve  # noqa: E402
from ray.serve.config import HTTPOptions  # noqa: E402

from serving.ads import read_campaigns  # noqa: E402
from serving.app import build  # noqa: E402
from serving.live import build_catalogue  # noqa: E402


def main() -> int:
    """Deploy, say where it listens, wait for a signal, take it down."""
    settings = config.load()
    try:
        items = read_items(config.catalogue_path(settings))
        read_campaigns(settings.campaigns, build_catalogue(list(items.values())))
        ContentVectors.of(settings)
        settings.ranking_weights  # noqa: B018  a wrong one is said here, in one line
        create_topics(settings)
    except HeadraceError as error:
        print(f"headrace serve: {error}", file=sys.stderr)
        return 2
    ray.init(**config.ray_options())
    serve.start(http_options=HTTPOptions(host=settings.host, port=settings.port))
    serve.run(build(settings), name="headrace", route_prefix="/")
    print(f"serving on http://{settings.host}:{settings.port}", flush=True)
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    stopping.wait()
    serve.shutdown()
    ray.shutdown()
    _haproxy_files.cleanup()
    return 0


if __name__ == "__main__":
    sys.exit(main())
