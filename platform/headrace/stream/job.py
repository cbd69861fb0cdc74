"""The stream job: Ray actors that own the partitions, and the loop that keeps them alive."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time

import ray
from redis import Redis

from headrace import config
from headrace.broker import create_topics, log_identity
from headrace.clock import now_ms
from headrace.errors import ServiceError

MAX_PAUSE_S = 10.0


class StreamWorkerActor:
    """A worker in a process of its own; `run` ends after `stop` was called."""

    def __init__(self, settings: config.Settings, partitions: list[int]) -> None:
        from headrace.stream.worker import Worker  # Feast takes seconds: only where it is used

        self._stopping = False
        self._worker = Worker(settings, partitions, now_ms)

    def run(self) -> None:
        self._worker.run(lambda: self._stopping)

    def stop(self) -> None:
        self._stopping = True


_RemoteWorker = ray.remote(num_cpus=0.5, max_concurrency=2)(StreamWorkerActor)


def run(settings: config.Settings) -> None:
    """Stream until a signal says to stop; a worker that dies is replaced and goes on from there."""
    create_topics(settings)
    bind_to_log(settings)
    ray.init(config.ray_address(), log_to_driver=False, logging_level=logging.WARNING)
    stopping = threading.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM):  # after ray.init, which sets its own
        signal.signal(signal_number, lambda *_: stopping.set())
    running = {}
    for number in range(min(settings.num_stream_workers, settings.num_partitions)):
        partitions = list(range(number, settings.num_partitions, settings.num_stream_workers))
        running[number] = _start(settings, partitions)
    pause_s = 1.0
    while not stopping.is_set():
        ended, _ = ray.wait([run_ref for _, run_ref, _ in running.values()], timeout=0.5)
        pause_s = 1.0 if not ended else pause_s
        for number, (_, run_ref, partitions) in list(running.items()):
            if run_ref not in ended:
                continue
            try:
                ray.get(run_ref)
            except ray.exceptions.RayError as error:
                reason = str(error).strip().splitlines()[-1]
                print(f"stream worker {number} ended: {reason}; restarting", file=sys.stderr)
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, MAX_PAUSE_S)
            running[number] = _start(settings, partitions)
    ray.get([actor.stop.remote() for actor, _, _ in running.values()])
    ray.wait([run_ref for _, run_ref, _ in running.values()], num_returns=len(running), timeout=30)
    ray.shutdown()


def bind_to_log(settings: config.Settings) -> None:
    """Remember which event log the positions in Redis belong to; refuse another one."""
    redis = Redis.from_url(settings.redis_url)
    name, identity = f"{settings.namespace}:log", log_identity(settings)
    if redis.set(name, identity, nx=True):
        return
    stored = (redis.get(name) or b"").decode()
    if stored != identity:
        raise ServiceError(
            f"the positions in Redis belong to event log {stored}, the broker at "
            f"{settings.kafka_bootstrap} is {identity}: choose another namespace "
            "(HEADRACE_NAMESPACE) or an empty Redis database"
        )


def _start(
    settings: config.Settings, partitions: list[int]
) -> tuple[ray.actor.ActorHandle, ray.ObjectRef, list[int]]:
    actor = _RemoteWorker.remote(settings, partitions)
    return actor, actor.run.remote(), partitions
