"""The whole platform on one machine: servers, features, parts, a replay, and what came of it."""

from __future__ import annotations

import shlex
import signal
import threading
import time
from contextlib import ExitStack
from http.client import HTTPException

import msgspec

from headrace import config
from headrace.clock import now_ms
from headrace.errors import ServiceError
from headrace.front import Front
from headrace.model.content_vectors import ContentVectors
from headrace.services.ports import require_free
from headrace.up.load import BackgroundLoad
from headrace.up.options import UpOptions
from headrace.up.parts import Part, stop_all
from headrace.up.report import build_report, count_in_features, to_lines
from headrace.up.servers import (
    settings_of_run,
    start_materializing,
    start_ray_beside,
    start_servers,
)
from headrace.up.totals import Observer, Totals
from headrace.up.view import View

READY_TIMEOUT_S = 180.0
DRAIN_TIMEOUT_S = 120.0
LOOK_EVERY_S = 0.5
RAY_GRACE_S = 2.0  # by itself Ray takes half a minute; nothing it holds is needed again
QUIET_LOOKS = 5  # in a row without lag: what the parts say may be half a second old


def run(options: UpOptions, settings: config.Settings) -> int:
    """Start everything, replay the log, then end (`once`) or serve until interrupted.

    Returns the exit code: 0, or 130 when it was interrupted before the log was processed.
    """
    require_free(settings.host, settings.port, "HTTP", "--port")
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    with ExitStack() as stack, View() as view:
        started = time.monotonic()
        settings = settings_of_run(options, settings, stack)
        ContentVectors.of(settings)  # a table that is not there is said before anything starts
        settings, environ = start_servers(settings, stack, view)
        materializing = start_materializing(options, settings, environ, view)
        stack.callback(materializing.stop)
        if "RAY_ADDRESS" not in environ:
            stack.callback(start_ray_beside(settings, environ, view).stop, RAY_GRACE_S)
        materializing.finish(READY_TIMEOUT_S)
        loop = Loop(options, settings, environ, view)
        stack.callback(loop.stop)
        loop.start(stopping)
        loop.start_s = time.monotonic() - started
        if not loop.replay(stopping):
            return 130
        if not options.once:
            loop.serve(stopping)
    return 0


class Loop:
    """The running parts of one `headrace up`."""

    def __init__(
        self, options: UpOptions, settings: config.Settings, environ: dict[str, str], view: View
    ) -> None:
        self._options, self._settings, self._environ = options, settings, environ
        self._view, self._observer = view, Observer(settings)
        names = ("stream", "train", "serve", *(("archive",) if options.archive else ()))
        self._parts = [self._part(name, [name]) for name in names]
        users = [user.user_id for user in options.dataset.users]
        self._front = Front(settings)
        self._load = BackgroundLoad(self._front, users, options.requests_per_s)
        self._replay: Part | None = None
        self._started: list[Part] = []
        self.start_s = 0.0

    def start(self, stopping: threading.Event) -> None:
        """Start the parts; returns when each of them does its work."""
        for part in self._parts:
            part.start()
            self._started.append(part)
        self._view.say("starting the stream workers, the trainer and serving")
        deadline = time.monotonic() + READY_TIMEOUT_S
        while waiting := self._not_ready():
            self._keep_running()
            if stopping.is_set():
                raise KeyboardInterrupt
            if time.monotonic() > deadline:
                folder = self._settings.home_path / "logs"
                raise ServiceError(
                    f"{', '.join(waiting)} did not start within {READY_TIMEOUT_S:g} s; see {folder}"
                )
            stopping.wait(LOOK_EVERY_S)

    def replay(self, stopping: threading.Event) -> bool:
        """Replay the log and wait until all of it is processed, trained and served."""
        self._view.say(f"replaying {self._options.dataset.num_events:,} events")
        started = time.monotonic()
        pace = (
            [] if self._options.events_per_s is None else [f"--speed={self._options.events_per_s}"]
        )
        keep_time = [] if self._options.shift_to_now else ["--keep-time"]
        data = self._options.data_arguments
        self._replay = self._part("replay", ["replay", *data, *pace, *keep_time])
        self._replay.start()
        self._started.insert(0, self._replay)
        self._load.start()
        replay_s = 0.0
        drained_by: float | None = None
        quiet_looks = 0
        while not stopping.wait(LOOK_EVERY_S):
            totals = self._look()
            if self._replay_done(totals):
                now = time.monotonic()
                replay_s = replay_s or now - started
                drained_by = drained_by or now + DRAIN_TIMEOUT_S
                quiet_looks = quiet_looks + 1 if _drained(totals) else 0
                if quiet_looks == QUIET_LOOKS:
                    self._finish(replay_s)
                    return True
                if now > drained_by:
                    raise ServiceError(_missing(totals, self._settings))
        return False

    def serve(self, stopping: threading.Event) -> None:
        """Go on serving, and say how to try it."""
        route = f"{self._front.address}/v1/recommend"
        if self._settings.is_auth_required:
            route += ' -H "X-API-Key: $(headrace keys create me --scope read)"'
        user_id = next(iter(self._options.dataset.events())).user_id
        body = msgspec.json.encode({"user_id": user_id}).decode()
        self._view.say(f"the log is processed; serving goes on until Ctrl-C. Try:\n"
                       f"  curl -s {route} --json {shlex.quote(body)}")  # fmt: skip
        while not stopping.wait(LOOK_EVERY_S):
            self._look()

    def stop(self) -> None:
        """End everything that was started here."""
        self._load.stop()
        stop_all(self._started)

    def _finish(self, replay_s: float) -> None:
        self._load.stop()
        totals = self._look()
        in_features = count_in_features(self._options.dataset, self._settings)
        report = build_report(totals, self._load, in_features, self.start_s, replay_s)
        for line in to_lines(report):
            self._view.say(line)
        if self._options.report:
            self._options.report.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
            self._view.say(f"report written to {self._options.report}")

    def _look(self) -> Totals:
        self._keep_running()
        totals = self._observer.totals(now_ms())
        self._view.show(totals)
        return totals

    def _keep_running(self) -> None:
        for part in self._parts:
            if part.keep_running():
                self._view.say(f"headrace {part.name} ended by itself and was started again")

    def _not_ready(self) -> list[str]:
        def is_up(name: str) -> bool:
            if name == "serve":
                return _answers(self._front)
            return self._observer.is_up(name, now_ms())

        return [part.name for part in self._parts if not is_up(part.name)]

    def _replay_done(self, totals: Totals) -> bool:
        assert self._replay is not None
        done = bool(totals.replay.get("done"))
        if not done and not self._replay.process.is_running:
            log = self._replay.process.command.log_path
            raise ServiceError(f"the replay ended before the log did; see {log}")
        return done

    def _part(self, name: str, arguments: list[str]) -> Part:
        return Part(name, arguments, self._settings.home_path / "logs", self._environ)


def _drained(totals: Totals) -> bool:
    """Everything sent was processed, and everything that makes a sample was trained and served."""
    processed = totals.processed >= totals.replay["sent"] and not totals.stream_lag
    idle = totals.train_lag == 0 and totals.samples > 0
    return processed and idle and totals.model_version == totals.num_published


def _missing(totals: Totals, settings: config.Settings) -> str:
    return (
        f"{totals.replay['sent']} events were sent, {totals.processed} were processed, "
        f"{totals.samples} samples were trained and version {totals.model_version} of "
        f"{totals.num_published} is served after {DRAIN_TIMEOUT_S:g} s; see "
        f"{settings.home_path / 'logs'}"
    )


def _answers(front: Front) -> bool:
    connection = front.connect(timeout_s=2)
    try:
        connection.request("GET", "/healthz", headers=front.headers)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
