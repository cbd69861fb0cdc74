"""Ports of this machine: a free one, or a clear word that the wanted one is taken.

A free port is only free at the moment it is asked for; another process may take it before the
server does. The server's own start then fails, and says so.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys

from headrace.errors import ServiceError

LOOPBACK = "127.0.0.1"


def free_ports(num_ports: int) -> list[int]:
    """This many different ports of the loopback interface that nothing listens on."""
    with contextlib.ExitStack() as held:
        servers = [
            held.enter_context(socket.create_server((LOOPBACK, 0))) for _ in range(num_ports)
        ]
        return [int(server.getsockname()[1]) for server in servers]


def free_port() -> int:
    """One port of the loopback interface that nothing listens on."""
    return free_ports(1)[0]


def require_free(host: str, port: int, purpose: str, flag: str | None = None) -> None:
    """Raises `ServiceError` unless `purpose` can listen on this port; `flag` sets another one."""
    _bound(host, port, purpose, flag).close()


class HeldPort:
    """A port that is kept for one purpose; a context manager that gives it back.

    It is bound and does not listen, so no connection comes here, and nobody else can bind it, until
    `share` lets a server that sets SO_REUSEADDR listen in its place. From then on that server keeps
    it. Another holder is kept off for all that time, by a name that Linux frees with its owner.
    """

    def __init__(self, host: str, port: int, purpose: str, flag: str | None = None) -> None:
        """Raises `ServiceError` where another program has the port; `flag` sets another one."""
        self._name = socket.socket(socket.AF_UNIX)
        try:
            if sys.platform == "linux":
                self._name.bind(f"\0headrace-port-{host}-{port}")
            self._held = _bound(host, port, purpose, flag)
        except OSError as error:
            self._name.close()
            raise _taken(host, port, purpose, flag) from error
        except ServiceError:
            self._name.close()
            raise
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)

    def share(self) -> None:
        """Lets a server that this one is held for listen on the port."""
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

    def __enter__(self) -> HeldPort:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()
        self._name.close()


def _bound(host: str, port: int, purpose: str, flag: str | None) -> socket.socket:
    """A socket bound to a port on which nothing listens."""
    choice = _choice(flag)
    if not 0 < port < 65536:
        raise ServiceError(f"{purpose} cannot listen on port {port}: expected 1-65535; {choice}")
    held = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        # With this, connections of an earlier server that are still closing do not count.
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((host, port))
    except OSError as error:
        held.close()
        if error.errno == errno.EADDRINUSE:
            raise _taken(host, port, purpose, flag) from error
        raise ServiceError(
            f"{purpose} cannot listen on port {port} of {host} ({error.strerror}): {choice}"
        ) from error
    return held


def _taken(host: str, port: int, purpose: str, flag: str | None) -> ServiceError:
    return ServiceError(
        f"port {port} on {host} is taken ({purpose}: {os.strerror(errno.EADDRINUSE)}):"
        f" stop what uses it or {_choice(flag)}"
    )


def _choice(flag: str | None) -> str:
    return f"choose another with {flag}" if flag else "choose another"
