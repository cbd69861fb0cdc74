"""`headrace up`: the whole platform on one machine, from the first file to the last process."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from kafka.errors import KafkaError
from redis import RedisError

from headrace import config
from headrace.catalogue.vectors import ContentVectors
from headrace.clock import now_ms
from headrace.errors import ServiceError
from headrace.services.ports import HeldPort
from headrace.services.processes.owner import MARK, Owner
from headrace.up.display.screen import Screen
from headrace.up.home import MIN_BYTES, free_bytes, full_disk
from headrace.up.interruption import interruptible
from headrace.up.loop import Loop
from headrace.up.options import UpOptions
from headrace.up.parts import parts_of
from headrace.up.run_file import PartState, RunFile, RunFolder
from headrace.up.servers import (
    Server,
    materialize,
    settings_of_run,
    socket_folder,
    start_own_ray,
    start_servers,
)
from headrace.up.supervision.watch import Watch, with_parts
from headrace.up.sweep import sweep

PRIVATE = 0o077  # the umask: nobody else reads homes, logs and sockets


def run(options: UpOptions, settings: config.Settings) -> int:
    """Start everything, replay the log, then end (`once`) or serve until interrupted.

    Returns the exit code: 0, or 130 when it was interrupted before the log was processed. Whatever
    happens, all that it started ends with it.
    """
    screen = Screen()
    platform = Platform(options, settings, screen)
    try:
        with ExitStack() as stack, screen, interruptible():
            stack.callback(os.umask, os.umask(PRIVATE))
            platform.start(stack)
            platform.work()
    except KeyboardInterrupt:
        screen.say(f"interrupted while {screen.phase}: everything that it started has ended")
        return 130
    except (ServiceError, OSError, RedisError, KafkaError) as error:
        raise ServiceError(platform.cause_of(error)) from error
    return 0


@dataclass
class Platform:
    """One run of `headrace up`."""

    options: UpOptions
    settings: config.Settings
    screen: Screen
    owner: Owner = field(default_factory=Owner.current)
    environ: dict[str, str] = field(default_factory=dict)
    started_s: float = field(default_factory=time.monotonic)
    wait_for_ray: Callable[[], None] = lambda: None  # that was started here

    def start(self, stack: ExitStack) -> None:
        """Everything up to the parts, whose end goes onto the stack as they come."""
        gc.freeze()  # the dataset stays: no collection need look at it again
        swept = sweep()
        if swept:
            self.screen.say(f"swept what a headrace up that was killed left: {', '.join(swept)}")
        wanted = self.settings
        self.port = stack.enter_context(
            HeldPort(wanted.http.host, wanted.http.port, "HTTP", "--port")
        )
        self.environ = {**config.inherited(), MARK: str(self.owner)}
        sockets = socket_folder(self.owner, stack)
        self.settings = settings_of_run(self.options, wanted, self.owner, stack)
        if wanted.app:
            self.screen.say(f"the application is {wanted.app}")
        ContentVectors.of(self.settings)  # a table that is not there is said before anything starts
        self.settings, servers = start_servers(
            self.settings, sockets, self.environ, stack, self.screen
        )
        if "RAY_ADDRESS" not in self.environ:  # which starts while the catalogue is told
            ray, self.wait_for_ray = start_own_ray(
                self.settings, sockets, self.environ, stack, self.screen
            )
            servers.append(ray)
        materialize(self.options, self.settings, self.screen)
        self.loop = self._loop(servers, stack)

    def work(self) -> None:
        """The parts, the replay, and serving until it is interrupted."""
        self.port.share()  # with HAProxy
        self.loop.start()
        self.wait_for_ray()
        self.loop.wait_ready()
        self.loop.start_s = time.monotonic() - self.started_s
        self.loop.replay()
        if not self.options.once:
            with suppress(KeyboardInterrupt):
                self.loop.serve()

    def cause_of(self, error: Exception) -> str:
        """The message of an error, which names the full disk where that is the cause."""
        said = str(error) or type(error).__name__
        if not isinstance(error, ServiceError):
            said = f"while {self.screen.phase}: {said}"
        home = self.settings.home_path
        with suppress(OSError):
            free = free_bytes(home)
            if free < MIN_BYTES:
                return f"{full_disk(home, free)} ({said})"
        return said

    def _loop(self, servers: list[Server], stack: ExitStack) -> Loop:
        logs, encodes = self.settings.home_path / "logs", bool(self.settings.training.vector_tables)
        parts = parts_of(self.options, logs, self.environ, encodes)
        run_file = RunFile(
            owner=self.owner,
            started_ms=now_ms(),
            variables=config.environment(self.settings),
        )
        runs = RunFolder(config.runtime_path())
        stack.callback(runs.remove, run_file)

        def publish(states: tuple[PartState, ...]) -> None:
            try:
                runs.write(with_parts(run_file, states, self.environ.get("RAY_ADDRESS", "")))
            except ServiceError as error:  # the platform runs on: only other terminals miss it
                self.screen.say(f"warning: {error}")

        watch = Watch(self.settings, servers, parts, self.screen.say, publish)
        stack.callback(watch.close)
        loop = Loop(self.options, self.settings, self.environ, watch, self.screen)
        stack.callback(loop.stop)
        return loop
