"""A Ray of our own: one node on loopback that ends with headrace, and the wait of its drivers."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headrace.config import own_ray_address
from headrace.errors import ServiceError
from headrace.services.ports import LOOPBACK, free_ports
from headrace.services.processes.process import Command, ServerProcess
from headrace.services.ray_start_hook import HOOK

READY_TIMEOUT_S: Final = 90.0
GRACE_S: Final = 2.0  # by itself Ray takes half a minute; nothing it holds is needed again
LOOK_EVERY_S: Final = 0.05
OBJECT_STORE_BYTES: Final = 200 << 20  # headrace passes almost nothing through it


@dataclass(frozen=True)
class RayNode:
    """A Ray head node that we started."""

    process: ServerProcess
    address: str

    def wait_ready(self) -> None:
        """Returns once it answers; raises `ServiceError` with its last lines where it does not."""
        log_start = self.process.log_start
        port = int(self.address.rpartition(":")[2])
        self.process.wait_ready(lambda: _check_gcs(port, self.process, log_start), READY_TIMEOUT_S)

    def stop(self) -> None:
        """Ends the node and all that it started."""
        self.process.stop(GRACE_S)


def start_ray(folder: Path, sockets: Path, environ: Mapping[str, str], num_cpus: int) -> RayNode:
    """A Ray head node that is starting (`RayNode.wait_ready`); call it from the main thread.

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
    return RayNode(process, f"{LOOPBACK}:{port}")


def wait_for_own_ray(clock: Callable[[], float] = time.monotonic) -> None:
    """Returns once the Ray that `headrace up` starts listens, and at once where there is none.

    `headrace up` starts its Ray and the drivers at the same time: they import what they need, and
    wait here for its first port. Raises `ServiceError` where it stays away.
    """
    address, deadline_s = own_ray_address(), clock() + READY_TIMEOUT_S
    while address and not _is_listening(address):
        if clock() > deadline_s:
            raise ServiceError(
                f"no Ray answers at {address} after {READY_TIMEOUT_S:g} s: start `headrace up` "
                "again, or set RAY_ADDRESS to a Ray that runs"
            )
        time.sleep(LOOK_EVERY_S)


def _is_listening(address: str) -> bool:
    """Whether the server of a cluster's state accepts connections."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True


def _check_gcs(port: int, process: ServerProcess, log_start: int) -> None:
    """Raises `ServiceError` until the node says, in this run's lines, that its runtime started."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError as error:
        raise ServiceError(f"Ray does not answer on port {port} yet: {error}") from None
    if b"Ray runtime started" not in process.command.log_path.read_bytes()[log_start:]:
        raise ServiceError("Ray has not finished starting")
