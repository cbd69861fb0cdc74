"""One replica per broker, shared by the tests of a file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from stand import Stand, broker_environ, stand

MAX_WAITING = 2_000


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
