"""Encoding items as they arrive: documents of the topic `items` in, vectors on `item-vectors` out.

One actor has the encoders of the vector tables that the ranker reads, on a GPU where the cluster
has one, and takes the items that have waited for longest, a batch at a time.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import ray
import torch
from numpy.typing import NDArray
from redis import Redis

from headrace import config
from headrace.broker.reader import LogReader
from headrace.broker.topics import Topics, create_topics, log_identity
from headrace.broker.writer import LogWriter
from headrace.catalogue import content
from headrace.catalogue.content import Value
from headrace.catalogue.vector_table import VectorTable
from headrace.clock import now_ms
from headrace.datasets.table.entities.web import Web
from headrace.encoders import registry
from headrace.encoders.arrivals.locations import Locations, located, value_of
from headrace.encoders.arrivals.messages import vector_message
from headrace.encoders.arrivals.waiting import Waiting, Waits
from headrace.encoders.encoder import Encoder, Setup
from headrace.errors import ConfigError, HeadraceError
from headrace.monitoring.documents import EncodeDocument
from headrace.monitoring.status import StatusBoard
from headrace.services.processes.priority import yield_to_requests
from headrace.services.processes.ray_worker import BACKGROUND
from headrace.services.ray_node import wait_for_own_ray
from headrace.skipped import Skipped, shortened
from headrace.stream.step.intake import arrived_records

BATCH: Final = 32  # items that are encoded at once
RECORDS_A_POLL: Final = 2_000
STATUS_EVERY_MS: Final = 500
STOP_TIMEOUT_S: Final = 30.0

log = logging.getLogger(__name__)


class ArrivalEncoder:
    """Encodes waiting items, a batch of a table at a time, until it is stopped."""

    def __init__(
        self, settings: config.Settings, device: str, clock: Callable[[], int] = now_ms
    ) -> None:
        self._settings, self._clock, self._skipped = settings, clock, Skipped(clock)
        given = settings.training
        folder = Path(given.content_folder).expanduser() if given.content_folder else None
        self._locations = Locations(folder, given.content_hosts)
        self._web = Web(given.content_hosts)
        width = content.vector_width(config.catalogue_path(settings))
        setup = Setup(device, width, str(config.encoders_path(settings)))
        self._encoders = {name: _encoder(name, setup) for name in given.vector_tables}
        modalities = {name: encoder.modality for name, encoder in self._encoders.items()}
        self._waiting = Waiting(
            settings.home_path / "encoding" / f"{settings.namespace}.sqlite",
            modalities,
            self._locations.hash_of,
            self._skipped,
        )
        topics = Topics(settings.namespace)
        self._topic, identity = topics.item_vectors, log_identity(settings, topics.items)
        start = {0: 0} | self._waiting.bind(identity)
        for name in modalities:
            table = VectorTable(config.vectors_path(settings), name)
            self._waiting.note_encoded(name, table.encoded())
        self._reader = LogReader(settings, topics.items, start, RECORDS_A_POLL, log=identity)
        self._writer = LogWriter(settings)
        self._redis = Redis.from_url(settings.redis_url)
        self._status = StatusBoard(self._redis, settings.namespace, self._skipped)
        self._num_encoded = self._num_failed = 0
        self._last_failure, self._status_ms = "", 0

    def run(self, should_stop: Callable[[], bool]) -> None:
        """Encode until told to stop."""
        while not should_stop():
            self.step()

    def step(self) -> None:
        """Take in documents, encode a batch for each table, and report where that is due."""
        is_idle = not any(map(self._waiting.num_waiting, self._encoders))
        if records := self._reader.poll(timeout_ms=100 if is_idle else 0):
            self._waiting.take(arrived_records(records, self._clock()))
        for name, encoder in self._encoders.items():
            if waits := self._waiting.batch(name, BATCH):
                self._encode(name, encoder, waits)
        if self._clock() - self._status_ms >= STATUS_EVERY_MS:
            self._report()

    def close(self) -> None:
        """Leave the servers and the file."""
        for end in (self._reader, self._writer, self._waiting, self._redis):
            end.close()

    def _encode(self, name: str, encoder: Encoder, waits: Sequence[Waits]) -> None:
        """Encode items, send their vectors, and note that once the broker has them."""
        vectors = self._vectors(encoder, waits)
        self._waiting.begin(name, waits)
        for one, vector_D in zip(waits, vectors, strict=True):
            about = name, one.item_id, one.content_hash or 0
            message = vector_message(*about, vector_D, self._settings.stream.num_partitions)
            self._writer.send(self._topic, message.value, message.key, message.partition)
        self._writer.flush()
        self._waiting.done(name, waits)

    def _vectors(
        self, encoder: Encoder, waits: Sequence[Waits]
    ) -> list[NDArray[np.float32] | None]:
        """The vector of each item; None where it has none, or its content cannot be read."""
        values, problems = self._values(encoder, waits)
        encoded = encoder.encode(values)
        problems |= encoded.problems
        self._num_encoded += sum(one.document is not None for one in waits)
        self._num_failed += len(problems)
        for row, problem in problems.items():
            self._last_failure = shortened(f"item {waits[row].item_id!r}: {problem}")
            log.warning("%s: %s", encoder.modality, self._last_failure)
        pairs = zip(encoded.vector_ND, encoded.mask_N.tolist(), strict=True)
        return [vector_D if has_one else None for vector_D, has_one in pairs]

    def _values(
        self, encoder: Encoder, waits: Sequence[Waits]
    ) -> tuple[list[Value], dict[int, str]]:
        """The value of each item, and why it has none where its location is not allowed."""
        values: list[Value] = []
        problems: dict[int, str] = {}
        for row, one in enumerate(waits):
            values.append(None)
            if one.document is None:
                continue
            location = located(one.document, encoder.modality)
            try:
                files = {encoder.modality: self._path(location)} if location else {}
            except ValueError as error:
                problems[row] = str(error)
                continue
            values[row] = value_of(one.document, encoder.modality, files)
        return values, problems

    def _path(self, location: str) -> Path:
        """Where a file lies, fetched if it lies elsewhere; raises `ValueError`."""
        found = self._locations.found(location)
        if isinstance(found, Path):
            return found
        (path,) = self._web.fetched([found])
        assert path is not None  # only an empty address has none
        return path

    def _report(self) -> None:
        now, since_ms = self._clock(), self._waiting.since_ms()
        self._status_ms = now
        document = EncodeDocument(
            waiting={name: self._waiting.num_waiting(name) for name in self._encoders},
            lag_ms=0 if since_ms is None else max(now - since_ms, 0),
            encoded=self._num_encoded,
            failed=self._num_failed,
            last_failure=self._last_failure,
            skipped=self._skipped.report(),
        )
        self._status.write(document, now)


def _encoder(name: str, setup: Setup) -> Encoder:
    """The encoder of a vector table; raises `ConfigError` where this build has another version."""
    encoder_name, _, version = name.partition("/")
    encoder = registry.load(encoder_name, setup)
    if encoder.version != version:
        raise ConfigError(
            f"vector table {name} was made by version {version} of {encoder_name}, this build has "
            f"{encoder.version}: encode the catalogue anew with `headrace encode` and name its "
            "table with --vectors"
        )
    return encoder


class ArrivalActor:
    """An `ArrivalEncoder` in a process of its own."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        yield_to_requests()

    def run(self, settings: config.Settings) -> None:
        """Encode until stopped."""
        torch.set_num_threads(1)
        device = "cuda" if ray.get_gpu_ids() else "cpu"  # what was assigned, not what is there
        encoder = ArrivalEncoder(settings, device)
        try:
            encoder.run(self._stopping.is_set)
        finally:
            encoder.close()

    def stop(self) -> None:
        """End the run after its step."""
        self._stopping.set()


def run(settings: config.Settings) -> None:
    """Keep an actor that encodes until a signal says to stop; raises the error that ends it."""
    if not settings.training.vector_tables:
        raise ConfigError("no vector table to keep up with: name one with --vectors")
    create_topics(settings)
    wait_for_own_ray()
    ray.init(**config.ray_options(BACKGROUND))
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):  # after ray.init, which sets its own
        signal.signal(number, lambda *_: stopping.set())
    has_gpu = ray.cluster_resources().get("GPU", 0) > 0
    actor = (
        ray.remote(ArrivalActor)
        .options(num_cpus=0, num_gpus=1 if has_gpu else 0, max_concurrency=2)
        .remote()
    )
    running = actor.run.remote(settings)
    try:
        while not stopping.is_set():
            if ray.wait([running], timeout=0.5)[0]:
                ray.get(running)
                return
        actor.stop.remote()
        ray.wait([running], timeout=STOP_TIMEOUT_S)
    finally:
        ray.shutdown()


def main() -> int:
    """`headrace encode --follow`."""
    try:
        run(config.load())
    except HeadraceError as error:
        print(f"headrace encode: {error}", file=sys.stderr)
        return 2
    except ray.exceptions.RayTaskError as error:
        print(f"headrace encode: {error.cause or error}", file=sys.stderr)
        return 2 if isinstance(error.cause, HeadraceError) else 1
    except ray.exceptions.RayActorError as error:
        print(f"headrace encode: its actor ended: {error}".splitlines()[0], file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
