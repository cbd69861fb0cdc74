"""Run files: where each running `headrace up` of this user says how it is reached.

A file names every setting that the parts were started with, so that a command in another terminal
sees what they see. It holds passwords: only its user can read it. It goes with its platform; one of
a platform that was killed is told by its owner, and is swept.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from headrace import config
from headrace.api.front import Front
from headrace.errors import ConfigError, ServiceError
from headrace.services.processes.owner import Owner
from headrace.settings.variables import variable

ENDING = ".json"


class PartState(msgspec.Struct, frozen=True, kw_only=True):
    """A server or part as `headrace up` sees it."""

    name: str
    pid: int | None
    is_running: bool
    restarts: int = 0
    said: str = ""  # what is wrong with it, as far as it is known


class RunFile(msgspec.Struct, frozen=True, kw_only=True):
    """A running platform: its process, settings by variable, addresses and parts."""

    owner: Owner
    started_ms: int
    variables: dict[str, str]
    ray_address: str = ""
    parts: tuple[PartState, ...] = ()

    @property
    def settings(self) -> config.Settings:
        """The settings of its parts; raises `ConfigError` where this build does not have them."""
        try:
            return config.load(self.variables)
        except ConfigError as error:
            raise ConfigError(
                f"the platform {self.id} was started by another build of headrace ({error}): use "
                "that one's commands, or start it again with this one"
            ) from None

    @property
    def id(self) -> str:
        """Namespace and process id, such as up_ed7fd10f-4711: no two that run have the same."""
        return f"{self.variables[variable('namespace')]}-{self.owner.pid}"

    @property
    def names(self) -> tuple[str, str, str]:
        """Its names: the namespace, the process id, and both."""
        return self.variables[variable("namespace")], str(self.owner.pid), self.id

    @property
    def http(self) -> str:
        """The address of its HTTP API from this machine."""
        return Front(self.settings.http).address

    def addresses(self) -> dict[str, str]:
        """Where it listens, without passwords."""
        from headrace.services.redis import masked  # whose client library most commands do not need

        settings = self.settings
        return {
            "http": self.http,
            "redis": masked(settings.redis_url),
            "kafka": settings.kafka_bootstrap,
            "ray": self.ray_address,
        }


class RunFolder:
    """The run files of one user, in a folder that only this user can enter."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, run: RunFile) -> None:
        """Replaces the platform's file at once; raises `ServiceError` where it cannot be kept."""
        path = self._file(run)
        part = path.with_suffix(f".part{os.getpid()}")
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._require_ours()
            part.unlink(missing_ok=True)
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.encode(run))
            part.replace(path)
        except OSError as error:
            raise ServiceError(
                f"{path} cannot be written ({error.strerror or error}): commands in other terminals"
                " do not find this platform; set XDG_RUNTIME_DIR to a folder of yours"
            ) from error

    def remove(self, run: RunFile) -> None:
        """Takes the platform's file away."""
        self._file(run).unlink(missing_ok=True)

    def running(self) -> list[RunFile]:
        """The platforms that run, the one that started last at the end."""
        runs = [run for _, run in self._files() if run.owner.is_alive]
        return sorted(runs, key=lambda run: run.started_ms)

    def sweep(self) -> list[RunFile]:
        """Removes the run files of platforms that run no more; returns their contents."""
        stale = [(path, run) for path, run in self._files() if not run.owner.is_alive]
        for path, _ in stale:
            path.unlink(missing_ok=True)
        return [run for _, run in stale]

    def _files(self) -> Iterator[tuple[Path, RunFile]]:
        try:
            self._require_ours()
            paths = sorted(self._path.glob(f"*{ENDING}"))
        except OSError:  # there is no folder yet, or it is not this user's
            return
        for path in paths:
            try:
                yield path, msgspec.json.decode(path.read_bytes(), type=RunFile)
            except (OSError, ValueError):  # it has just gone, or another build wrote it
                continue

    def _require_ours(self) -> None:
        """Raises `OSError` unless this is a folder of this user that no other may enter."""
        found = self._path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise PermissionError(f"{self._path} is not a folder of this user")
        if stat.S_IMODE(found.st_mode) & 0o077:
            self._path.chmod(0o700)

    def _file(self, run: RunFile) -> Path:
        return self._path / f"{run.id}{ENDING}"
