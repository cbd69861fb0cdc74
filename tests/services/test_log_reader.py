"""How far a reader of the log is, on both brokers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from headrace import config
from headrace.broker.reader import LogReader
from headrace.broker.topics import Topics, create_topics
from headrace.broker.writer import LogWriter
from headrace.services.kafka import start_broker

pytestmark = pytest.mark.services


@pytest.fixture(scope="module", params=["apache_environ", "tansu_environ"])
def settings(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[config.Settings]:
    environ: dict[str, str] = request.getfixturevalue(request.param)
    with start_broker(tmp_path_factory.mktemp("broker"), environ) as broker:
        settings = config.settings(kafka_bootstrap=broker.bootstrap, num_partitions=2)
        create_topics(settings)
        yield settings


def test_nothing_is_known_of_the_lag_before_every_partition_has_answered(
    settings: config.Settings,
) -> None:
    topic = Topics(settings.namespace).events
    writer = LogWriter(settings)
    for number in range(6):
        writer.send(topic, b"%d" % number, partition=number % 2)
    writer.flush()
    with closing(LogReader(settings, topic, {0: 0, 1: 0}, max_records=1)) as reader:
        assert reader.lag() == 0 and not reader.has_answers()  # nothing known looks like no lag
        lags = []
        while not reader.has_answers() or reader.lag():
            reader.poll(5_000)
            if reader.has_answers():
                lags.append(reader.lag())
        assert lags[0] > 0 and lags == sorted(lags, reverse=True)
    writer.close()
