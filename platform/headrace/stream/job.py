"""The stream job: Ray actors that own the partitions, and the loop that keeps all of them owned.

A worker that dies, or whose node does, loses its partitions to the others at once; a worker that
takes its place gets a share back. A partition is claimed by its new owner in Redis: whoever owned
it before can commit no more (`headrace.positions.store`).
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError
from redis import Redis

from headrace import config
from headrace.broker.topics import create_topics
from headrace.clock import now_ms
from headrace.errors import ActionsMismatch, LogMismatch
from headrace.services.processes.priority import yield_to_requests
from headrace.services.ray_node import wait_for_own_ray
from headrace.stream.assignment import balanced
from headrace.stream.memory import ONE_HEAP, keep_freed
from headrace.stream.redis_watch import RedisNews, lost_keys
from headrace.stream.source_log import bind_to_log

MAX_PAUSE_S = 10.0
LOOK_EVERY_S = 0.5
STOP_TIMEOUT_S = 30.0


class StreamWorkerActor:
    """A worker in a process of its own. Runs are numbered: `stop` of a run may come before it."""

    def __init__(self) -> None:
        self._last_stopped = 0
        yield_to_requests()
        keep_freed()

    def ready(self) -> None:
        """Answers once the process is there, and has done the slow imports."""
        import headrace.stream.worker  # noqa: F401

    def run(self, number: int, settings: config.Settings, partitions: tuple[int, ...]) -> None:
        from headrace.stream.worker import Worker

        Worker(settings, partitions, now_ms).run(lambda: self._last_stopped >= number)

    def stop(self, number: int) -> None:
        self._last_stopped = number


_RemoteWorker = ray.remote(
    num_cpus=0.5, max_concurrency=2, scheduling_strategy="SPREAD", runtime_env=ONE_HEAP
)(StreamWorkerActor)


@dataclass(slots=True)
class Member:
    """One worker, its partitions, and its run, None while it owns nothing or waits to try again."""

    actor: ray.actor.ActorHandle
    ready_ref: ray.ObjectRef
    is_ready: bool = False
    partitions: tuple[int, ...] = ()
    run_ref: ray.ObjectRef | None = None
    num_runs: int = 0
    is_stopping: bool = False
    pause_s: float = 1.0
    retry_s: float = 0.0  # not before this moment


def run(settings: config.Settings) -> None:
    """Stream until a signal says to stop; raises `LogMismatch` when the log is not the one,
    `ActionsMismatch` when the actions are not the namespace's."""
    create_topics(settings)
    redis = Redis.from_url(settings.redis_url)
    if lost := lost_keys(redis, settings.namespace):
        _say(f"warning: {lost}")
    bind_to_log(settings)
    wait_for_own_ray()
    ray.init(**config.ray_options())
    stopping = threading.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM):  # after ray.init, which sets its own
        signal.signal(signal_number, lambda *_: stopping.set())
    job, news = StreamJob(settings), RedisNews(settings, redis)
    try:
        while not stopping.is_set():
            job.look(time.monotonic())
            for line in news.lines(now_ms()):
                _say(f"warning: {line}")
            job.wait(LOOK_EVERY_S)
    finally:
        job.stop()
        ray.shutdown()


class StreamJob:
    """Keeps the wanted number of workers, as far as the cluster has room, and all partitions owned
    by those that are there."""

    def __init__(self, settings: config.Settings) -> None:
        self._settings = settings
        self._members: dict[int, Member] = {}
        self._num_started = 0

    def look(self, now_s: float) -> None:
        """One round: reap ended workers, start missing ones, balance the partitions."""
        for number in list(self._members):
            self._reap(number, now_s)
        wanted = min(self._settings.stream.num_stream_workers, self._settings.stream.num_partitions)
        while len(self._members) < wanted:
            actor = _RemoteWorker.remote()
            self._members[self._num_started] = Member(actor, actor.ready.remote())
            self._num_started += 1
        self._balance(now_s)

    def wait(self, timeout_s: float) -> None:
        """Until something happens to a worker, or for so long."""
        refs = [m.run_ref or m.ready_ref for m in self._members.values()]
        busy = [ref for ref in refs if ref not in self._done(refs)]
        if busy:
            ray.wait(busy, timeout=timeout_s)
        else:
            time.sleep(timeout_s)

    def stop(self) -> None:
        """Let every worker finish its step and commit it."""
        running = [member for member in self._members.values() if member.run_ref]
        for member in running:
            member.actor.stop.remote(member.num_runs)
        refs = [member.run_ref for member in running]
        ray.wait(refs, num_returns=len(refs), timeout=STOP_TIMEOUT_S) if refs else None

    def _reap(self, number: int, now_s: float) -> None:
        """Reap a worker whose start, run or process has ended."""
        member = self._members[number]
        ref = member.run_ref or (None if member.is_ready else member.ready_ref)
        if ref is None or ref not in self._done([ref]):
            return
        try:
            ray.get(ref)
        except RayActorError:
            _say(f"stream worker {number} died; its partitions {member.partitions} move")
            del self._members[number]
            return
        except RayError as error:
            if isinstance(cause := getattr(error, "cause", None), ActionsMismatch | LogMismatch):
                raise type(cause)(str(cause)) from None
            reason = str(error).strip().splitlines()[-1]
            _say(f"stream worker {number} stopped: {reason}; it tries again")
            member.retry_s, member.pause_s = now_s + member.pause_s, _longer(member.pause_s)
        else:
            member.pause_s = 1.0
        member.is_ready, member.is_stopping, member.run_ref = True, False, None

    def _balance(self, now_s: float) -> None:
        """Move partitions: an owner stops before the next one starts."""
        ready = [number for number, member in self._members.items() if member.is_ready]
        current = {number: self._members[number].partitions for number in ready}
        target = balanced(current, ready, self._settings.stream.num_partitions)
        moving = False
        for number in ready:
            member = self._members[number]
            if member.run_ref and target[number] != member.partitions:
                moving = True
                if not member.is_stopping:
                    member.actor.stop.remote(member.num_runs)
                    member.is_stopping = True
        if moving:
            return
        for number in ready:
            member = self._members[number]
            member.partitions = target[number]
            if member.run_ref is None and member.partitions and now_s >= member.retry_s:
                member.num_runs += 1
                member.run_ref = member.actor.run.remote(
                    member.num_runs, self._settings, member.partitions
                )

    @staticmethod
    def _done(refs: list[Any]) -> list[Any]:
        return ray.wait(refs, num_returns=len(refs), timeout=0)[0] if refs else []


def _longer(pause_s: float) -> float:
    return min(2 * pause_s, MAX_PAUSE_S)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
