"""One child server: started, watched until it answers, stopped, and never left behind.

- The child has its own session, so that Ctrl-C in the terminal reaches headrace only, which then
  stops its servers in its own order.
- Linux kills the child when headrace dies, even by `kill -9` (PR_SET_PDEATHSIG). On other systems a
  crash of headrace leaves the child running.
- TRAP: that signal comes when the *thread* that started the child ends, not the process. Call
  `start` from a thread that lives as long as the process: the main thread.
- What a child writes goes to its own log file, which is appended to and never rotated. The child
  holds a lock on that file, so that a folder has one server at a time: two Kafka nodes that start
  on the same data damage it before they notice each other.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from headrace.errors import ServiceError
from headrace.services.processes import session

PR_SET_PDEATHSIG = 1  # <sys/prctl.h>
POLL_S = 0.02  # between two readiness checks
MAX_TAIL_BYTES = 8192
MAX_TAIL_LINES = 4


@dataclass(frozen=True, kw_only=True)
class Command:
    """A server's command: its name, its arguments, its folder and advice for when it fails.

    The server runs in `folder` and logs to `<name>.log` there; `environ` None passes on our own.
    """

    name: str
    arguments: Sequence[str]
    folder: Path
    advice: str
    environ: Mapping[str, str] | None = None
    leaves_children: bool = False  # some of its processes outlive it, or leave its process group

    @property
    def log_path(self) -> Path:
        """The file that gets everything the server writes."""
        return self.folder.resolve() / f"{self.name}.log"


class ServerProcess:
    """A running child server; a context manager that stops it."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self._popen: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self.log_start = 0  # where this run's lines begin in the log

    @property
    def pid(self) -> int | None:
        """Process id of the server, None before it is started."""
        return self._popen.pid if self._popen else None

    @property
    def is_running(self) -> bool:
        """Whether the server was started and has not exited."""
        return self._popen is not None and self._popen.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How the server ended, None while it runs."""
        return self._popen.poll() if self._popen else None

    @property
    def last_line(self) -> str:
        """The last line that this run wrote, without stack traces."""
        return next(iter(self._last_lines()[-1:]), "")

    def start(self) -> None:
        """Starts the server without waiting for it; see the trap about threads above."""
        assert self._popen is None, "a ServerProcess is started once"
        command = self.command
        log = _opened(command)
        try:
            with log:
                _claim(log, command)
                self.log_start = log.tell()
                self._popen = subprocess.Popen(
                    list(command.arguments),
                    cwd=command.folder,
                    env=command.environ,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    preexec_fn=_die_with_parent(),
                )
        except (OSError, subprocess.SubprocessError) as error:
            raise ServiceError(
                f"{command.name} cannot be started ({error}), tried {command.arguments[0]} in"
                f" {command.folder}: {command.advice}"
            ) from error

        if command.leaves_children:
            self._guard = _guard(self._popen.pid)

    def wait_ready(
        self,
        check: Callable[[], None],
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Returns once `check` no longer raises `ServiceError`; stops the server if that fails."""
        deadline = clock() + timeout_s
        try:
            while not self._passes(check):
                if clock() > deadline:
                    raise self._failure(f"does not answer {timeout_s:g} s after its start")
        except BaseException:
            self.stop()
            raise

    def wait_done(self, timeout_s: float) -> None:
        """Returns once the process has ended with code 0; raises `ServiceError` otherwise."""
        assert self._popen is not None, "start it first"
        try:
            code = self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.stop()
            raise self._failure(f"has not ended after {timeout_s:g} s") from None
        if code:
            raise self._failure(f"ended with exit code {code}")

    def ask_to_stop(self) -> None:
        """Asks the server to end and does not wait; does nothing when it has ended."""
        if self._popen is not None and self._popen.poll() is None:
            os.killpg(self._popen.pid, signal.SIGTERM)

    def stop(self, grace_s: float = 20.0) -> None:
        """Asks the server to end, kills it after `grace_s`; does nothing when it has ended."""
        if self._guard is not None:
            self._guard.kill()
            self._guard.communicate()
            self._guard = None
        popen = self._popen
        if popen is None:
            return
        if popen.poll() is None:
            os.killpg(popen.pid, signal.SIGTERM)
            try:
                popen.wait(grace_s)
            except subprocess.TimeoutExpired:
                os.killpg(popen.pid, signal.SIGKILL)
                popen.wait()
        if self.command.leaves_children:
            session.end_session(popen.pid)

    def __enter__(self) -> ServerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _passes(self, check: Callable[[], None]) -> bool:
        """One readiness check; pauses when it fails, raises when the server has exited.

        The exit is looked at after the check: another server may answer on the port that ours
        could not get.
        """
        try:
            check()
            ready = True
        except ServiceError:
            ready = False
        assert self._popen is not None, "start it first"
        try:
            code = self._popen.wait(timeout=POLL_S)
        except subprocess.TimeoutExpired:
            return ready
        raise self._failure(f"ended with exit code {code} before it was ready")

    def _failure(self, what: str) -> ServiceError:
        command = self.command
        lines = " | ".join(self._last_lines()) or "nothing"
        return ServiceError(
            f"{command.name} {what}; it wrote: {lines}; see {command.log_path}, or {command.advice}"
        )

    def _last_lines(self) -> list[str]:
        """The end of this run's log, without the indented lines of stack traces."""
        with self.command.log_path.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(self.log_start, end - MAX_TAIL_BYTES))
            text = log.read().decode(errors="replace")
        lines = [line.rstrip() for line in text.splitlines() if line and not line[0].isspace()]
        return [line[:200] for line in lines[-MAX_TAIL_LINES:]]


def _opened(command: Command) -> IO[bytes]:
    """The log to append to, in a folder that is there now."""
    try:
        command.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return command.log_path.open("ab")
    except OSError as error:
        raise ServiceError(
            f"{command.log_path} cannot be written ({error.strerror or error}): {command.name}"
            " needs a folder of this user's with space; name another with HEADRACE_HOME"
        ) from error


def _claim(log: IO[bytes], command: Command) -> None:
    """Locks the log for as long as anyone has it open, which after the start is only the child."""
    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ServiceError(
            f"another {command.name} runs in {command.folder}: stop it, use another folder, or"
            f" {command.advice}"
        ) from error


def _die_with_parent() -> Callable[[], None] | None:
    """The `preexec_fn` of a child: ask Linux to kill it when its parent dies.

    Everything is looked up before the fork: the child of a threaded process must not take locks.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    arguments = (PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))
    parent_pid = os.getpid()

    def ask() -> None:
        failed = prctl(*arguments)
        if failed or os.getppid() != parent_pid:  # the parent may have died before we asked
            os._exit(1)

    return ask


def _guard(session_id: int) -> subprocess.Popen[bytes]:
    """A process that ends the server's session once we are gone: its standard input then ends."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", session.__file__, str(session_id)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
