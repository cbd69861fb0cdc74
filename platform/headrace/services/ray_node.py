"""A Ray of our own: one node on loopback that ends with headrace."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headrace.errors import ServiceError
from headrace.services.ports import LOOPBACK, free_ports
from headrace.services.processes.process import Command, ServerProcess
from headrace.services.ray_start_hook import HOOK

READY_TIMEOUT_S: Final = 90.0
GRACE_S: Final = 2.0  # by itself Ray takes half a minute; nothing it holds is needed again
OBJECT_STORE_BYTES: Final = 200 << 20  # headrace passes almost nothing through it


@dataclass(frozen=True)
class RayNode:
    """A Ray head node that we started."""

    process: ServerProcess
    address: str

    def stop(self) -> None:
        """Ends the node and all that it started."""
        self.process.stop(GRACE_S)


def start_ray(folder: Path, sockets: Path, environ: Mapping[str, str], num_cpus: int) -> RayNode:
    """A Ray head node that answers; call it from the main thread.

    `sockets` is Ray's own temporary folder, with a short path. `environ` is also that of whoever
    connects to it (`headrace.config.local_ray`). `num_cpus` is how much Ray schedules, not what the
    machine has: headrace's parts wait more than they compute.
    """
    port, agent_port, dashboard_port = free_ports(3)
    arguments = [
        *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"),
        *("--node-ip-address", LOOPBACK, "--port", str(port)),
        *("--num-cpus", str(num_cpus), "--include-dashboard", "false"),
        *("--include-log-monitor", "false", "--no-monitor"),  # nobody reads logs through Ray
        *("--temp-dir", str(sockets)),
        *("--dashboard-port", str(dashboard_port)),  # checked even where there is no dashboard
        *("--dashboard-agent-listen-port", str(agent_port)),
        *("--object-store-memory", str(OBJECT_STORE_BYTES), "--disable-usage-stats"),
    ]
    process = ServerProcess(
        Command(
            name="ray",
            arguments=arguments,
            folder=folder,
            advice="set RAY_ADDRESS to a Ray that runs",
            environ={**environ, "RAY_START_HOOK": HOOK},
            leaves_children=True,  # its agents wait a minute for a node that was killed
        )
    )
    process.start()
    log_start = process.log_start
    process.wait_ready(lambda: _check_gcs(port, process, log_start), READY_TIMEOUT_S)
    return RayNode(process, f"{LOOPBACK}:{port}")


def _check_gcs(port: int, process: ServerProcess, log_start: int) -> None:
    """Raises `ServiceError` until the node says, in this run's lines, that its runtime started."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError as error:
        raise ServiceError(f"Ray does not answer on port {port} yet: {error}") from None
    if b"Ray runtime started" not in process.command.log_path.read_bytes()[log_start:]:
        raise ServiceError("Ray has not finished starting")
