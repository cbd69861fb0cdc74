"""The parts as child processes: each one `headrace` command, which may be started again."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from headrace.services.processes.process import Command, ServerProcess
from headrace.up.options import UpOptions
from headrace.up.supervision.restarts import Restarts

USER_ERROR = 2  # exit code of a command that was asked for something impossible
ADVICE = "run the same `headrace` command alone to see more"


@dataclass(slots=True)
class Part:
    """One supervised `headrace` command; `environ` is read at each start."""

    name: str
    arguments: Sequence[str]
    folder: Path
    environ: Mapping[str, str]
    restarts: Restarts = field(default_factory=Restarts)
    process: ServerProcess = field(init=False)
    was_started: bool = False

    @property
    def is_running(self) -> bool:
        """Whether its process runs."""
        return self.process.is_running

    @property
    def pid(self) -> int | None:
        """The id of its process."""
        return self.process.pid

    @property
    def loss(self) -> str:
        """Why it cannot be started again, empty if it can."""
        return ""

    @property
    def carries_parts(self) -> bool:
        """No part runs in another."""
        return False

    @property
    def refusal(self) -> str:
        """The reason why it refused to run, empty if it did not."""
        return self.process.last_line if self.process.exit_code == USER_ERROR else ""

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        code, last = self.process.exit_code, self.process.last_line
        return f"exit code {code}" + (f": {last}" if last else "")

    @property
    def log_path(self) -> Path:
        """Where it writes."""
        return self.process.command.log_path

    def start(self) -> None:
        """Start a process; call it from the main thread."""
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
        self.was_started = True

    def finish(self, timeout_s: float) -> None:
        """Wait until the process has ended by itself; raises `ServiceError` if it failed."""
        self.process.wait_done(timeout_s)

    def ask_to_stop(self) -> None:
        """Ask the process to end and do not wait."""
        self.process.ask_to_stop()

    def stop(self, grace_s: float = 4.0) -> None:
        """Ask the process to end, and end it if it does not."""
        self.process.stop(grace_s)


def parts_of(
    options: UpOptions, folder: Path, environ: Mapping[str, str], encodes: bool = False
) -> list[Part]:
    """The parts of a run, not started yet, with their logs in `folder`; with vector tables one
    encodes items as they arrive."""
    commands = {name: [name] for name in ("stream", "train", "serve")}
    if options.archive:
        commands["archive"] = ["archive"]
    if encodes:
        commands["encode"] = ["encode", "--follow"]
    return [Part(name, command, folder, environ) for name, command in commands.items()]
