"""One replica per broker, shared by the tests of a file."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from stand import Stand, stand

from benchmarks.outside import NO_KAFKA, kafka_environ

MAX_WAITING = 2_000


def broker_environ(kind: str) -> dict[str, str]:
    """The environment that starts this broker; skips where it is not there."""
    plain = {name: text for name, text in os.environ.items() if name != "KAFKA_HOME"}
    if kind == "embedded":
        return plain
    if not kafka_environ():
        pytest.skip(NO_KAFKA)
    return {**plain, **kafka_environ()}


@pytest.fixture(scope="module", params=["embedded", "apache-kafka"])
def on_each_broker(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stand]:
    environ = broker_environ(request.param)
    with stand(tmp_path_factory.mktemp("front"), environ) as made:
        yield made


@pytest.fixture(scope="module")
def replica(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder = tmp_path_factory.mktemp("front")
    with stand(folder, broker_environ("embedded"), max_waiting_events=MAX_WAITING) as made:
        yield made
