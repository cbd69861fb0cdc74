"""The supervisor: watches the processes that a run started, and restarts those that died.

What others need comes first: Redis, the broker, Ray, then the parts. When Ray dies, its drivers
end too, then it starts, then they do. Restarts have growing pauses and a bound, after which the run
ends with what is known. While the disk is full nothing is started again: it would only die again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from headrace.errors import ServiceError
from headrace.up.home import MIN_BYTES, full_disk
from headrace.up.run_file import PartState
from headrace.up.supervision.restarts import WINDOW_S, Restarts

GRACE_S = 20.0  # serving takes down what runs in Ray before it ends


class Watched(Protocol):
    """A server or a part."""

    @property
    def name(self) -> str: ...
    @property
    def restarts(self) -> Restarts: ...
    @property
    def is_running(self) -> bool: ...
    @property
    def pid(self) -> int | None: ...
    @property
    def ending(self) -> str:
        """How it ended, in words."""

    @property
    def refusal(self) -> str:
        """The reason why it refused to run, empty if it did not."""

    @property
    def loss(self) -> str:
        """Why it cannot be started again, empty if it can."""

    @property
    def carries_parts(self) -> bool:
        """Whether the parts run in it: they end before it starts again."""

    @property
    def log_path(self) -> Path: ...
    def start(self) -> None: ...
    def ask_to_stop(self) -> None: ...
    def stop(self, grace_s: float = ...) -> None: ...


@dataclass(frozen=True)
class Surroundings:
    """A supervisor's surroundings: the free bytes of the home's disk, and lines for the user."""

    home: Path
    free_bytes: Callable[[Path], int]
    say: Callable[[str], None]


class Supervisor:
    """Watches servers and parts; times are seconds of a monotonic clock."""

    def __init__(
        self, servers: Sequence[Watched], parts: Sequence[Watched], around: Surroundings
    ) -> None:
        self._servers, self._parts, self._around = servers, parts, around
        self.is_started = False  # whether all parts have done their work once
        self.num_restarts = 0
        self._ended: set[str] = set()  # what has ended, was said and is not started again yet
        self._is_full = False

    def look(self, now_s: float) -> bool:
        """Restart dead processes that are due; whether any was restarted.

        Raises `ServiceError` for one that cannot be, or has died too often.
        """
        before = self.num_restarts
        self._look_at_the_disk()
        for server in self._servers:
            if not server.is_running:
                self._start_again(server, now_s)
                break  # what needs it is looked at when it is there again
        else:
            for part in self._parts:
                if not part.is_running:
                    self._start_again(part, now_s)
        return self.num_restarts > before

    def restart(self, name: str, why: str, now_s: float) -> None:
        """End a part that runs and does not do its work, and start it again, within the bound."""
        part = next(part for part in self._parts if part.name == name)
        self._around.say(f"headrace {name} {why}: it is ended and started again")
        part.stop(GRACE_S)
        self._start_again(part, now_s)

    def states(self, said: dict[str, str]) -> tuple[PartState, ...]:
        """The state of each server and part, with the fault that is `said` of some."""
        every = [*self._servers, *self._parts]
        return tuple(
            PartState(
                name=one.name,
                pid=one.pid,
                is_running=one.is_running,
                restarts=one.restarts.num_all,
                said=said.get(one.name, ""),
            )
            for one in every
        )

    def _start_again(self, one: Watched, now_s: float) -> None:
        if one.loss:
            raise ServiceError(one.loss)
        if one.refusal and not self.is_started:  # later it may have met a Redis that was away
            raise ServiceError(one.refusal)
        if one.name not in self._ended:
            self._ended.add(one.name)
            self._around.say(f"{one.name} ended by itself ({one.ending})")
        if self._is_full or not one.restarts.is_due(now_s):
            return
        if one.restarts.is_spent:
            raise ServiceError(
                f"{one.name} ended {one.restarts.num_all + 1} times, the last ones within "
                f"{WINDOW_S / 60:g} minutes ({one.ending}); see {one.log_path}"
            )
        one.restarts.add(now_s)
        self.num_restarts += 1
        carried = self._parts if one.carries_parts else ()
        stop_all(carried)
        try:
            one.start()
        except ServiceError as error:
            self._around.say(f"{one.name} could not be started again: {error}")
            return
        for part in carried:
            part.start()
        self._ended.discard(one.name)
        more = f", and on it {', '.join(part.name for part in carried)}" if carried else ""
        self._around.say(f"{one.name} was started again{more}")

    def _look_at_the_disk(self) -> None:
        free = self._around.free_bytes(self._around.home)
        if (free < MIN_BYTES) != self._is_full:
            self._is_full = not self._is_full
            if self._is_full:
                self._around.say(full_disk(self._around.home, free))
            else:
                self._around.say("the disk has space again")


def stop_all(running: Sequence[Watched]) -> None:
    """Ask all of them to end, then see to it that they do."""
    for one in running:
        one.ask_to_stop()
    for one in running:
        one.stop()
