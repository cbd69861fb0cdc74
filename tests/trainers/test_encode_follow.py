"""`headrace encode --follow`, killed while items arrive, and started again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from redis import Redis
from stream_servers import started

from headrace import config
from headrace.broker.reader import LogReader
from headrace.broker.record import Record
from headrace.broker.topics import Topics
from headrace.broker.writer import LogWriter
from headrace.catalogue.item import Content, Dataset, Item
from headrace.catalogue.vector_table import VectorTable
from headrace.documents.document import ITEM, ItemDocument
from headrace.documents.messages import whole_message
from headrace.monitoring.documents import EncodeDocument
from headrace.monitoring.status import StatusBoard
from headrace.services.haproxy import short_folder

pytestmark = [pytest.mark.ray, pytest.mark.services]

ROOT = Path(__file__).resolve().parents[2]
TABLE = "given_vector/1-2d"
NUM_ITEMS = 3_000
TIMEOUT_S = 200.0  # two cores may be shared with other tests


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[config.Settings]:
    contents = (Content("mug", vector=(1.0, 2.0)),)
    dataset = Dataset(
        *("shop", (Item("mug"),), (), lambda: iter(()), 0, 0, 0), contents=lambda: iter(contents)
    )
    folder = tmp_path_factory.mktemp("follow")
    with started(folder, dataset, vector_tables=(TABLE,), num_partitions=2) as settings:
        VectorTable(config.vectors_path(settings), TABLE).finish({})
        yield settings


@contextmanager
def following(settings: config.Settings, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The command; at the end it is killed, if it runs."""
    ray_folder = short_folder()  # Ray's socket paths are long
    unset = ("RAY_ADDRESS", "HEADRACE_")
    kept = {name: text for name, text in os.environ.items() if not name.startswith(unset)}
    environ = {**kept, **config.environment(settings), "RAY_TMPDIR": ray_folder.name}
    words = [sys.executable, "-m", "headrace.cli", "encode", "--follow"]
    children: list[psutil.Process] = []
    with log.open("ab") as out:
        process = subprocess.Popen(words, cwd=ROOT, env=environ, stdout=out, stderr=out)
    try:
        yield process
        with suppress(psutil.NoSuchProcess):
            children += psutil.Process(process.pid).children(recursive=True)
    finally:
        process.kill()  # Ray's processes are left to themselves, as in a real crash
        process.wait()
        psutil.wait_procs(children, timeout=30)
        ray_folder.cleanup()


class Seen:
    """What was sent to the topic of vectors so far, and what those who encode say."""

    def __init__(self, settings: config.Settings) -> None:
        topic = Topics(settings.namespace).item_vectors
        self._reader, self.records = LogReader(settings, topic, {0: 0, 1: 0}), list[Record]()
        self._redis = Redis.from_url(settings.redis_url)
        self._board = StatusBoard(self._redis, settings.namespace)

    @property
    def num_items(self) -> int:
        self.records += self._reader.poll()
        return len({record.key for record in self.records})

    def idle(self) -> set[int]:
        """The processes that have nothing left to encode."""
        documents = self._board.read(EncodeDocument)
        return {one.pid for one in documents if not sum(one.waiting.values())}

    def pids(self) -> set[int]:
        return {one.pid for one in self._board.read(EncodeDocument)}

    def close(self) -> None:
        self._reader.close()
        self._redis.close()


def wait(is_done: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline_s = time.monotonic() + TIMEOUT_S
    while not is_done():
        assert time.monotonic() < deadline_s and process.poll() is None, log.read_text()[-3_000:]
        time.sleep(0.05)


def test_one_that_was_killed_leaves_no_item_out_and_goes_on_where_it_was(
    settings: config.Settings, tmp_path: Path
) -> None:
    log, topic = tmp_path / "log", Topics(settings.namespace).items
    with closing(Seen(settings)) as seen, closing(LogWriter(settings)) as writer:
        for n in range(NUM_ITEMS):
            document = ItemDocument(f"i{n}", vector=(float(n), 1.0))
            key, value, _, partition = whole_message(ITEM, document)
            writer.send(topic, value, key, partition)
        writer.flush()
        with following(settings, log) as process:
            wait(lambda: seen.num_items > 100, process, log)
        before = seen.pids()
        with following(settings, log) as process:
            wait(
                lambda: seen.num_items == NUM_ITEMS and seen.idle() - before != set(), process, log
            )
            process.terminate()
            assert process.wait(60) == 0, log.read_text()[-3_000:]
        assert seen.num_items == NUM_ITEMS
        twice = len(seen.records) - NUM_ITEMS
        assert 0 <= twice <= 32, twice  # a batch that was sent and not noted


def test_without_a_table_the_command_says_what_to_name(settings: config.Settings) -> None:
    environ = {**os.environ, **config.environment(config.changed(settings, vector_tables=()))}
    words = [sys.executable, "-m", "headrace.cli", "encode", "--follow"]
    done = subprocess.run(words, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=90)
    assert done.returncode == 2
    assert "no vector table to keep up with: name one with --vectors" in done.stderr
