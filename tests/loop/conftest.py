"""Running platforms, shared by the tests of the loop."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from platform_run import PlatformRun, write_slice
from second_terminal import Terminal, open_terminal

from benchmarks.outside import kafka_environ

NUM_RATINGS = 12_000
EVENTS_PER_S = 400.0


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlatformRun]:
    """`headrace up` on the first 12,000 ratings of MovieLens, ready to replay them.

    On Apache Kafka where there is one; the platform beside the terminal has the embedded broker.
    """
    environ = {"KAFKA_HOME": "", **kafka_environ()}
    folder = tmp_path_factory.mktemp("loop")
    write_slice(folder / "data", NUM_RATINGS)
    run = PlatformRun(folder, folder / "data", EVENTS_PER_S, environ)
    try:
        run.wait_started()
        yield run
    finally:
        run.close()


@pytest.fixture(scope="package")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """A terminal beside a platform that has replayed its log and serves."""
    terminal = open_terminal(tmp_path_factory.mktemp("terminal"))
    try:
        terminal.platform.wait_report()
        yield terminal
    finally:
        terminal.platform.close()
