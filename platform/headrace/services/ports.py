"""Ports of this machine: a free one, or a clear word that the wanted one is taken.

A free port is only free at the moment it is asked for; another process may take it before the
server does. The server's own start then fails, and says so.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket

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
    hold_port(host, port, purpose, flag).close()


def hold_port(host: str, port: int, purpose: str, flag: str | None = None) -> socket.socket:
    """A socket that keeps a port for `purpose` until it is closed; raises `ServiceError` where
    another program has it.

    It is bound and does not listen, so no connection comes here. On Linux a server of this user
    that sets SO_REUSEPORT, as HAProxy does, can listen beside it; nobody else can take the port.
    """
    choice = f"choose another with {flag}" if flag else "choose another"
    if not 0 < port < 65536:
        raise ServiceError(f"{purpose} cannot listen on port {port}: expected 1-65535; {choice}")
    held = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        # With this, connections of an earlier server that are still closing do not count ...
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((host, port))
        # ... and without it, whoever sets it cannot bind beside a socket that does not listen.
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except OSError as error:
        held.close()
        if error.errno != errno.EADDRINUSE:
            raise ServiceError(
                f"{purpose} cannot listen on port {port} of {host} ({error.strerror}): {choice}"
            ) from error
        raise ServiceError(
            f"port {port} on {host} is taken ({purpose}: {os.strerror(errno.EADDRINUSE)}):"
            f" stop what uses it or {choice}"
        ) from error
    return held
