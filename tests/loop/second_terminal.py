"""A second terminal beside a running `headrace up`: a shell of the same user, without settings."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from platform_run import PlatformRun
from readme_shop import write_lending_shop

from headrace.config import Settings
from headrace.up.run_file import RunFile, RunFolder

ROOT = Path(__file__).resolve().parents[2]
NUM_EVENTS = 400
COMMAND_TIMEOUT_S = 120.0


@dataclass
class Terminal:
    """A shell of the same user, in a folder with a shop, without settings."""

    folder: Path
    environ: dict[str, str]
    platform: PlatformRun
    replaced: dict[str, str] = field(default_factory=dict)

    @property
    def run_file(self) -> RunFile:
        """What the platform says of itself."""
        (run,) = RunFolder(self.folder / "headrace").running()
        return run

    @property
    def settings(self) -> Settings:
        """The settings of the platform."""
        return self.run_file.settings

    def run(self, command: str, exports: str = "") -> subprocess.CompletedProcess[str]:
        """A command that ends by itself, and what it said."""
        for printed, here in self.replaced.items():
            command = command.replace(printed, here)
        command = command.replace("127.0.0.1:8000", f"127.0.0.1:{self.platform.port}")
        return subprocess.run(
            ["bash", "-c", f"{exports}\n{command}"],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
        )

    def serve(self, command: str, is_up: Callable[[], bool], exports: str = "") -> str:
        """Start a command, wait until it does its work, end it; what it said."""
        log = self.folder / f"{abs(hash(command))}.log"
        with log.open("w") as file:
            server = subprocess.Popen(
                ["bash", "-c", f"{exports}\nexec {command.partition('#')[0]}"],
                cwd=self.folder,
                env=self.environ,
                stdout=file,
                stderr=file,
            )
        try:
            deadline = time.monotonic() + COMMAND_TIMEOUT_S
            while not is_up():
                assert server.poll() is None and time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(15)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        return log.read_text()


def environ_of(folder: Path) -> dict[str, str]:
    """The variables of a user who has set nothing."""
    unset = ("HEADRACE_", "REDIS_URL", "KAFKA_", "RAY_ADDRESS")
    environ = {n: text for n, text in os.environ.items() if not n.startswith(unset)}
    return environ | {
        "XDG_RUNTIME_DIR": str(folder),
        "PATH": f"{Path(sys.executable).parent}:{environ['PATH']}",
        "HEADRACE_ARCHIVE_EVERY_S": "1",
    }


def open_terminal(folder: Path) -> Terminal:
    """A running platform of a small shop with its own actions, and a terminal beside it."""
    shop = write_lending_shop(folder / "shop", NUM_EVENTS)
    write_lending_shop(folder / "shop-last-year", 100, seed=1)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    (folder / "feature_repo").symlink_to(ROOT / "feature_repo")
    run = PlatformRun(folder, shop, 200.0, {"KAFKA_HOME": "", "XDG_RUNTIME_DIR": str(folder)})
    return Terminal(folder, environ_of(folder), run)


def answers(port: int) -> bool:
    """Whether something listens on a port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
