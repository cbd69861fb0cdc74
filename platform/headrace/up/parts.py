"""The parts as child processes: started, watched, started again when they end by themselves."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from headrace.errors import ServiceError
from headrace.services.process import Command, ServerProcess

MAX_RESTARTS = 5
USER_ERROR = 2  # exit code of a command that was asked for something impossible
ADVICE = "run the same `headrace` command alone to see more"


@dataclass(slots=True)
class Part:
    """One supervised `headrace` command."""

    name: str
    arguments: Sequence[str]
    folder: Path
    environ: Mapping[str, str]
    restarts: int = 0
    process: ServerProcess = field(init=False)

    def start(self) -> None:
        """Start the process; call it from the main thread."""
        self.process = ServerProcess(
            Command(
                name=f"headrace-{self.name}",
                arguments=[sys.executable, "-m", "headrace.cli", *self.arguments],
                folder=self.folder,
                advice=ADVICE,
                environ=self.environ,
            )
        )
        self.process.start()

    def keep_running(self) -> bool:
        """Start the process again if it ended; True if it had to be.

        Raises `ServiceError` when it cannot do what it is asked, or ends again and again.
        """
        if self.process.is_running:
            return False
        if self.process.exit_code == USER_ERROR:
            raise ServiceError(self.process.last_line)
        if self.restarts >= MAX_RESTARTS:
            raise ServiceError(
                f"headrace {self.name} ended {self.restarts + 1} times; see "
                f"{self.process.command.log_path}, or {ADVICE}"
            )
        self.restarts += 1
        self.start()
        return True

    def finish(self, timeout_s: float) -> None:
        """Wait until the process has ended by itself; raises `ServiceError` if it failed."""
        self.process.wait_done(timeout_s)

    def stop(self, grace_s: float = 4.0) -> None:
        """Ask the process to end, and end it if it does not."""
        self.process.stop(grace_s)


def stop_all(parts: Sequence[Part]) -> None:
    """Ask all of them to end, then see to it that they do."""
    for part in parts:
        part.process.ask_to_stop()
    for part in parts:
        part.stop()
