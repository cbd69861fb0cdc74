"""Symptoms: faults while all processes run; each is said when it comes and when it goes.

A part that says nothing hangs; a Redis that does not answer hides what the parts say; an HTTP API
that does not answer has lost its HAProxy or its replicas.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from headrace.up.supervision.health import Health

SILENT_S: Final = 20.0  # a part reports twice a second
PATIENCE_S: Final = 30.0  # that HTTP may be away before serving is started again
AFTER_START_S: Final = 90.0  # the same, after it was
PROBE_EVERY_S: Final = 2.0


@dataclass(slots=True)
class Symptoms:
    """The symptoms by the name of a part or server; times are seconds of a monotonic clock."""

    say: Callable[[str], None]
    probe: Callable[[], Health]
    current: dict[str, str] = field(default_factory=dict)
    _last_s: dict[str, float] = field(default_factory=dict)  # when a part reported, by our clock
    _reported: dict[str, int | None] = field(default_factory=dict)
    _heard: set[str] = field(default_factory=set)  # parts that have reported since they started
    _next_probe_s: float = 0.0
    _http_away_s: float | None = None  # since when
    _patience_s: float = PATIENCE_S

    def see_redis(self, problem: str) -> None:
        """Whether Redis answers; while it does not, nothing is known of the parts."""
        self._set("redis", problem)
        if problem:
            self._last_s.clear()

    def see_report(self, part: str, reported_ms: int | None, now_s: float) -> None:
        """When a part says that it reported last, None if it never has."""
        if part not in self._last_s:
            self._last_s[part] = now_s
        elif self._reported[part] != reported_ms:
            self._last_s[part] = now_s
            self._heard.add(part)
        self._reported[part] = reported_ms
        silent_s = now_s - self._last_s[part]
        is_silent = silent_s >= (SILENT_S if part in self._heard else AFTER_START_S)
        said = f"runs and has reported nothing for {silent_s:.0f} s" if is_silent else ""
        if bool(said) != (part in self.current):
            self._set(part, said)

    def http_is_lost(self, now_s: float) -> str:
        """Why serving must be started again, empty if it need not be; asks HTTP now and then."""
        if now_s < self._next_probe_s:
            return ""
        self._next_probe_s = now_s + PROBE_EVERY_S
        health = self.probe()
        self._set("http", health.said)
        if health.is_ok:
            self._http_away_s, self._patience_s = None, PATIENCE_S
            return ""
        if self._http_away_s is None:
            self._http_away_s = now_s
        away_s = now_s - self._http_away_s
        return f"has not answered for {away_s:.0f} s" if away_s >= self._patience_s else ""

    def forget(self) -> None:
        """Something was started again: all of it gets its time to start."""
        self._last_s.clear()
        self._heard.clear()
        self._http_away_s, self._patience_s = None, AFTER_START_S

    def lines(self) -> Iterator[str]:
        """The current symptoms, one line each."""
        return (f"{name}: {said}" for name, said in sorted(self.current.items()))

    def _set(self, name: str, said: str) -> None:
        if said and name not in self.current:
            self.say(f"{name}: {said}")
        elif not said and name in self.current:
            self.say(f"{name}: well again")
        if said:
            self.current[name] = said
        else:
            self.current.pop(name, None)
