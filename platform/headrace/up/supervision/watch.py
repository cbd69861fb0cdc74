"""The watch over a run: processes, symptoms and totals, and the states for the run file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import msgspec
from redis import RedisError

from headrace import config
from headrace.api.front import Front
from headrace.clock import now_ms
from headrace.services.redis import masked
from headrace.up.display.totals import Observer, Totals
from headrace.up.home import free_bytes
from headrace.up.parts import Part
from headrace.up.run_file import PartState, RunFile
from headrace.up.servers import Server
from headrace.up.supervision.health import probe
from headrace.up.supervision.supervisor import Supervisor, Surroundings
from headrace.up.supervision.symptoms import Symptoms

REPORTING = ("stream", "train", "serve", "archive", "encode")


class Watch:
    """Everything that a run started, and how it is; times are seconds of a monotonic clock."""

    def __init__(
        self,
        settings: config.Settings,
        servers: Sequence[Server],
        parts: Sequence[Part],
        say: Callable[[str], None],
        publish: Callable[[tuple[PartState, ...]], None],
    ) -> None:
        self.parts = parts
        self.supervisor = Supervisor(
            servers, parts, Surroundings(settings.home_path, free_bytes, say)
        )
        self._probe = partial(probe, Front(settings.http), settings.namespace)
        self.symptoms = Symptoms(say, self._probe)
        self.has_restarted = False  # whether the last look started something again
        self._observer = Observer(settings)
        self._address = masked(settings.redis_url)
        self._publish = publish
        self._published: tuple[PartState, ...] = ()

    def not_ready(self) -> list[str]:
        """The parts that do not do their work yet."""
        waiting = []
        for part in self.parts:
            try:
                is_ready = (
                    self._probe().is_ok
                    if part.name == "serve"
                    else self._observer.is_up(part.name, now_ms())
                )
            except (RedisError, OSError):
                is_ready = False
            if not is_ready:
                waiting.append(part.name)
        return waiting

    def keep_running(self, now_s: float) -> None:
        """Restart processes that died."""
        self.has_restarted = self.supervisor.look(now_s)
        if self.has_restarted:
            self.symptoms.forget()
        self._publish_states()

    def look(self, now_s: float) -> None:
        """Restart processes that died, and serving also where HTTP stays away."""
        self.keep_running(now_s)
        lost = self.symptoms.http_is_lost(now_s)
        if lost:
            self.supervisor.restart("serve", lost, now_s)
            self.symptoms.forget()
            self.has_restarted = True

    def totals(self, now_ms: int, now_s: float) -> Totals | None:
        """The totals at `now_ms`; None while Redis is away."""
        try:
            for part in self.parts:
                if part.name in REPORTING:
                    reported_ms = self._observer.reported_ms(part.name)
                    self.symptoms.see_report(part.name, reported_ms, now_s)
            totals = self._observer.totals(now_ms)
        except (RedisError, OSError) as error:
            self.symptoms.see_redis(f"does not answer at {self._address} ({error})")
            return None
        self.symptoms.see_redis("")
        return totals

    def close(self) -> None:
        """Gives the connection to Redis back."""
        self._observer.close()

    def _publish_states(self) -> None:
        said = self.symptoms.current
        states = self.supervisor.states({**said, "serve": said.get("http", said.get("serve", ""))})
        if states != self._published:
            self._published = states
            self._publish(states)


def with_parts(run: RunFile, states: tuple[PartState, ...], ray_address: str) -> RunFile:
    """A run file with the parts as they are now."""
    return msgspec.structs.replace(run, parts=states, ray_address=ray_address)
