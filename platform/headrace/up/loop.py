"""The steps of the loop: the parts start, a log is replayed, and serving goes on."""

from __future__ import annotations

import math
import shlex
import threading
import time

import msgspec

from headrace import config
from headrace.api.front import Front
from headrace.clock import now_ms
from headrace.errors import ServiceError
from headrace.up.display.report import build_report, count_in_features, to_lines
from headrace.up.display.screen import Screen
from headrace.up.display.totals import Totals
from headrace.up.load import BackgroundLoad
from headrace.up.options import UpOptions
from headrace.up.parts import Part
from headrace.up.supervision.supervisor import stop_all
from headrace.up.supervision.watch import Watch

READY_TIMEOUT_S = 180.0
DRAIN_TIMEOUT_S = 120.0
LOOK_EVERY_S = 0.5
START_LOOK_EVERY_S = 0.2
QUIET_LOOKS = 5  # in a row without lag: what the parts say may be half a second old


class Loop:
    """The running parts of one `headrace up`."""

    def __init__(
        self,
        options: UpOptions,
        settings: config.Settings,
        environ: dict[str, str],
        watch: Watch,
        screen: Screen,
    ) -> None:
        self._options, self._settings, self._environ = options, settings, environ
        self._screen, self._watch = screen, watch
        users = [user.user_id for user in options.dataset.users]
        self._front = Front(settings.http)
        self._load = BackgroundLoad(self._front, users, options.requests_per_s)
        folder = settings.home_path / "logs"
        self._feast = Part("materialize", ["materialize"], folder, environ)
        self._replay: Part | None = None
        self.start_s = 0.0

    def start(self) -> None:
        """Start the parts, which do not work yet."""
        self._screen.phase = "starting the parts"
        self._screen.say("starting the stream workers, the trainer and serving")
        for part in self._watch.parts:
            part.start()

    def wait_ready(self) -> None:
        """Returns when each part does its work."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while waiting := self._watch.not_ready():
            self._watch.keep_running(time.monotonic())
            if time.monotonic() > deadline:
                raise ServiceError(
                    f"{', '.join(waiting)} did not start within {READY_TIMEOUT_S:g} s; see "
                    f"{self._settings.home_path / 'logs'}"
                )
            self._pause(START_LOOK_EVERY_S)
        self._watch.supervisor.is_started = True

    def replay(self) -> None:
        """Replay the log; returns when all of it is processed, trained and served."""
        self._screen.phase = "replaying"
        self._screen.say(f"replaying {self._options.dataset.num_events:,} events")
        started = time.monotonic()
        self._start_replay()
        self._feast.start()
        self._load.start()
        replay_s, quiet_looks = 0.0, 0
        drained_by = math.inf
        while True:
            self._pause()
            now = time.monotonic()
            totals = self._look()
            if not self._feast.is_running:
                self._feast.finish(0.0)  # says why, where it has failed
            if totals is None or self._watch.has_restarted:
                drained_by, quiet_looks = math.inf, 0
                continue
            if self._replay_done(totals):
                replay_s = replay_s or now - started
                drained_by = now + DRAIN_TIMEOUT_S if math.isinf(drained_by) else drained_by
                quiet_looks = quiet_looks + 1 if _drained(totals) else 0
                if quiet_looks == QUIET_LOOKS:
                    return self._finish(replay_s)
                if now > drained_by:
                    raise ServiceError(self._missing(totals))

    def serve(self) -> None:
        """Go on serving until interrupted, and say how to try it."""
        self._screen.phase = "serving"
        route = f"{self._front.address}/v1/recommend"
        if self._settings.http.is_auth_required:
            route += ' -H "X-API-Key: $(headrace keys create me --scope read)"'
        user_id = next(iter(self._options.dataset.events())).user_id
        body = msgspec.json.encode({"user_id": user_id}).decode()
        self._screen.say(f"the log is processed; serving goes on until Ctrl-C. Try:\n"
                       f"  curl -s {route} --json {shlex.quote(body)}")  # fmt: skip
        while True:
            self._pause()
            self._look()

    def stop(self) -> None:
        """End everything that was started here."""
        self._load.stop()
        beside = [self._feast, *([self._replay] if self._replay else ())]
        stop_all([part for part in (*beside, *self._watch.parts) if part.was_started])

    def _pause(self, pause_s: float = LOOK_EVERY_S) -> None:
        threading.Event().wait(pause_s)

    def _look(self) -> Totals | None:
        self._watch.look(time.monotonic())
        totals = self._watch.totals(now_ms(), time.monotonic())
        if totals is not None:
            self._screen.show(totals, list(self._watch.symptoms.lines()))
        return totals

    def _finish(self, replay_s: float) -> None:
        self._load.stop()
        self._feast.finish(READY_TIMEOUT_S)
        totals = None
        while totals is None:
            totals = self._look()
        in_features = count_in_features(self._options.dataset, self._settings)
        report = build_report(totals, self._load, in_features, self.start_s, replay_s)
        for line in to_lines(report):
            self._screen.say(line)
        if self._options.report:
            self._options.report.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
            self._screen.say(f"report written to {self._options.report}")

    def _start_replay(self) -> None:
        speed = self._options.events_per_s
        pace = [] if speed is None else [f"--speed={speed}"]
        keep_time = [] if self._options.shift_to_now else ["--keep-time"]
        arguments = ["replay", *self._options.data_arguments, *pace, *keep_time]
        folder = self._settings.home_path / "logs"
        self._replay = Part("replay", arguments, folder, self._environ)
        self._replay.start()

    def _replay_done(self, totals: Totals) -> bool:
        assert self._replay is not None
        done = totals.replay is not None and totals.replay.done
        if not done and not self._replay.is_running:
            raise ServiceError(
                f"the replay ended before the log did ({self._replay.ending}); see "
                f"{self._replay.log_path}"
            )
        return done

    def _missing(self, totals: Totals) -> str:
        why = "".join(f"; {line}" for line in self._watch.symptoms.lines())
        sent = totals.replay.sent if totals.replay else 0
        return (
            f"{sent} events were sent, {totals.processed} were processed, "
            f"{totals.samples} samples were trained and version {totals.model_version} of "
            f"{totals.num_published} is served after {DRAIN_TIMEOUT_S:g} s; see "
            f"{self._settings.home_path / 'logs'}{why}"
        )


def _drained(totals: Totals) -> bool:
    """Everything sent was processed, and everything that makes a sample was trained and served."""
    sent = totals.replay.sent if totals.replay else 0
    processed = totals.processed >= sent and not totals.stream_lag
    idle = totals.train_lag == 0 and totals.samples > 0
    return processed and idle and totals.model_version == totals.num_published
