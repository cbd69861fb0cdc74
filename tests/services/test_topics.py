"""Topics as the broker has them rule: their number of partitions, their identity, where they begin
and end, on both brokers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count

import pytest
from changed_topic import make_anew
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic

from headrace import config
from headrace.broker import log_watch, reader
from headrace.broker.reader import LogReader
from headrace.broker.record import Record
from headrace.broker.topics import LogIdentity, Topics, agreed, create_topics, log_identity, plans
from headrace.broker.writer import LogWriter
from headrace.errors import LogMismatch
from headrace.services.kafka import Broker, start_broker

pytestmark = pytest.mark.services

PATIENCE_S = 20.0
namespaces = (f"topics_{number}" for number in count())
CODECS = ("gzip", "snappy", "lz4", "zstd")


@pytest.fixture(scope="module", params=["apache_environ", "tansu_environ"])
def log(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Broker]:
    environ: dict[str, str] = request.getfixturevalue(request.param)
    with start_broker(tmp_path_factory.mktemp("broker"), environ) as started:
        yield started


@pytest.fixture
def apache(log: Broker) -> Broker:
    if log.kind != "apache-kafka":
        pytest.skip("the embedded broker cannot do this")
    return log


@pytest.fixture
def settings(log: Broker) -> config.Settings:
    return config.settings(
        namespace=next(namespaces), kafka_bootstrap=log.bootstrap, num_partitions=2
    )


@pytest.fixture
def admin(log: Broker) -> Iterator[KafkaAdminClient]:
    with closing(KafkaAdminClient(bootstrap_servers=log.bootstrap)) as client:
        yield client


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Topics are looked at often, and what is wrong is believed soon."""
    monkeypatch.setattr(reader, "DESCRIBE_EVERY_MS", 300)
    monkeypatch.setattr(log_watch, "LOOK_EVERY_S", 0.1)
    monkeypatch.setattr(log_watch, "PATIENCE_S", 0.5)


def send(settings: config.Settings, num: int, partition: int = 0) -> None:
    with closing(LogWriter(settings)) as writer:
        for number in range(num):
            writer.send(Topics(settings.namespace).events, b"%d" % number, partition=partition)
        writer.flush()


def poll_until(reader: LogReader, done: Callable[[list[Record]], bool]) -> list[Record]:
    records: list[Record] = []
    deadline = time.monotonic() + PATIENCE_S
    while not done(records):
        assert time.monotonic() < deadline, records
        records += reader.poll()
    return records


def poll_in_vain(reader: LogReader) -> None:
    poll_until(reader, lambda records: False)


@pytest.mark.parametrize("number", [1, 4])
def test_another_number_of_partitions_than_the_settings_is_refused_with_both_numbers(
    settings: config.Settings, number: int
) -> None:
    create_topics(settings)
    create_topics(settings)
    with pytest.raises(LogMismatch) as caught:
        create_topics(config.changed(settings, num_partitions=number))
    for topic in ("events", "samples", "feature-rows", "item-partials", "item-features"):
        said = f"topic {settings.namespace}.{topic} has 2 partitions, expected {number}"
        assert said in str(caught.value)
    assert f"(HEADRACE_NUM_PARTITIONS={number}): set HEADRACE_NUM_PARTITIONS" in str(caught.value)


def test_the_operators_topic_of_another_number_of_partitions_is_refused(
    settings: config.Settings, admin: KafkaAdminClient
) -> None:
    topics = Topics(settings.namespace)
    admin.create_topics([NewTopic(topics.events, 3, 1), NewTopic(topics.models, 2, 1)])
    with pytest.raises(LogMismatch) as caught:
        create_topics(settings)
    assert str(caught.value).startswith(
        f"topic {topics.events} has 3 partitions, expected 2; "
        f"topic {topics.models} has 2 partitions, expected 1 (HEADRACE_NUM_PARTITIONS=2)"
    )


def test_a_reader_of_a_topic_of_another_number_of_partitions_says_so_and_does_not_wait(
    settings: config.Settings,
) -> None:
    create_topics(settings)
    more = config.changed(settings, num_partitions=4)
    start = dict.fromkeys(range(4), 0)
    with closing(LogReader(more, Topics(settings.namespace).events, start)) as reader:
        with pytest.raises(LogMismatch, match="has 2 partitions, expected 4"):
            poll_in_vain(reader)


@pytest.mark.usefixtures("apache", "impatient")
def test_a_topic_that_grows_while_it_is_read_is_refused(
    settings: config.Settings, admin: KafkaAdminClient
) -> None:
    create_topics(settings)
    send(settings, 3)
    topic = Topics(settings.namespace).events
    with closing(LogReader(settings, topic, {0: 0, 1: 0})) as reader:
        assert len(poll_until(reader, lambda records: len(records) == 3)) == 3
        admin.create_partitions({topic: 5})
        with pytest.raises(LogMismatch, match="has 5 partitions, expected 2.*docs/topics.md"):
            poll_in_vain(reader)


@pytest.mark.usefixtures("impatient")
def test_a_topic_that_is_made_anew_while_it_is_read_is_refused(
    settings: config.Settings, admin: KafkaAdminClient
) -> None:
    create_topics(settings)
    send(settings, 3)
    topic = Topics(settings.namespace).events
    with closing(LogReader(settings, topic, {0: 0, 1: 0})) as reader:
        poll_until(reader, lambda records: len(records) == 3)
        make_anew(admin, settings, topic)
        send(settings, 5)
        with pytest.raises(LogMismatch, match=f"topic {topic} is another one|ends at offset"):
            poll_in_vain(reader)


def test_a_topic_that_is_made_anew_before_it_is_read_is_refused(
    settings: config.Settings, admin: KafkaAdminClient
) -> None:
    create_topics(settings)
    topic = Topics(settings.namespace).events
    before = log_identity(settings, topic)
    make_anew(admin, settings, topic)
    send(settings, 3)
    with closing(LogReader(settings, topic, {0: 0, 1: 0}, log=before)) as reader:
        with pytest.raises(LogMismatch, match=f"topic {topic} is another one"):
            poll_in_vain(reader)


@pytest.mark.usefixtures("impatient")
def test_a_topic_that_is_gone_is_named(settings: config.Settings, admin: KafkaAdminClient) -> None:
    """The embedded broker makes it anew as soon as it is asked about it."""
    create_topics(settings)
    topic = Topics(settings.namespace).events
    with closing(LogReader(settings, topic, {0: 0, 1: 0})) as reader:
        poll_until(reader, lambda records: reader.has_answers())
        admin.delete_topics([topic])
        with pytest.raises(LogMismatch, match=f"topic {topic} is (not there|another)"):
            poll_in_vain(reader)


def test_positions_belong_to_the_topic_and_not_to_the_cluster_only(
    settings: config.Settings, admin: KafkaAdminClient
) -> None:
    create_topics(settings)
    topics = Topics(settings.namespace)
    before = log_identity(settings, topics.events, topics.samples)
    assert set(before.topics) == {topics.events, topics.samples}
    kept = agreed("", before, "in Redis", "do this")
    assert kept == before == LogIdentity.parsed(str(kept))
    assert agreed(str(kept), before, "", "") == kept
    of_cluster_only = before.cluster  # what was kept before topics had a part in it
    assert agreed(of_cluster_only, before, "in Redis", "do this") == kept
    make_anew(admin, settings, topics.events)
    after = log_identity(settings, topics.events, topics.samples)
    assert after.cluster == before.cluster
    with pytest.raises(LogMismatch, match=r"the positions in Redis belong to .*: do this"):
        agreed(str(kept), after, "in Redis", "do this")
    assert agreed(str(kept), log_identity(settings, topics.samples), "", "") == kept


@pytest.mark.usefixtures("apache")
def test_what_the_log_does_not_hold_any_more_is_told_and_the_rest_is_read(
    settings: config.Settings, admin: KafkaAdminClient
) -> None:
    create_topics(settings)
    send(settings, 10)
    send(settings, 4, partition=1)
    topic = Topics(settings.namespace).events
    admin.delete_records({TopicPartition(topic, 0): 7})
    with closing(LogReader(settings, topic, {0: 2, 1: 0})) as reader:
        records = poll_until(reader, lambda records: len(records) == 7)
        (gap,) = reader.take_gaps()
        assert (gap.partition, gap.gone) == (0, range(2, 7)) and not reader.take_gaps()
        assert str(gap).startswith(
            f"topic {topic}, partition 0 begins at offset 7: the 5 messages from 2 on are gone"
        )
    assert sorted(r.offset for r in records if r.partition == 0) == [7, 8, 9]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("start", "until"), [(6, None), (1, {0: 6})])
def test_a_log_that_ends_before_what_was_read_of_it_is_refused(
    settings: config.Settings, start: int, until: dict[int, int] | None
) -> None:
    create_topics(settings)
    send(settings, 3)
    topic = Topics(settings.namespace).events
    with closing(LogReader(settings, topic, {0: start}, until=until)) as reader:
        expected = "partition 0 ends at offset 3, and was read up to offset 6; was it deleted"
        with pytest.raises(LogMismatch, match=expected):
            poll_in_vain(reader)


@pytest.mark.usefixtures("apache")
def test_each_topic_is_kept_as_its_plan_says(
    settings: config.Settings, admin: KafkaAdminClient
) -> None:
    settings = config.changed(settings, events_retention_h=36)
    create_topics(settings)
    planned = plans(settings)
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in planned]
    found = admin.describe_configs(asked, config_filter="all")["topic"]
    for name, plan in planned.items():
        assert {key: found[name][key]["value"] for key in plan.config} == plan.config
    topics, hour_ms = Topics(settings.namespace), 3_600_000
    kept = {name: found[name]["retention.ms"]["value"] for name in planned}
    assert kept[topics.events] == kept[topics.samples] == str(36 * hour_ms)
    assert kept[topics.dead_letters] == str(30 * 24 * hour_ms)
    policies = {name: found[name]["cleanup.policy"]["value"] for name in planned}
    compacted = {name for name, policy in policies.items() if policy == "compact"}
    documents = {topics.items, topics.users, topics.item_vectors}
    assert compacted == {topics.item_partials, topics.item_features, topics.models, *documents}


@pytest.mark.usefixtures("apache")
def test_the_operators_own_configs_are_left_and_warned_about(
    settings: config.Settings, admin: KafkaAdminClient, caplog: pytest.LogCaptureFixture
) -> None:
    name = Topics(settings.namespace).events
    topic = NewTopic(name, 2, 1, topic_configs={"retention.ms": "60000"})
    admin.create_topics([topic])
    with caplog.at_level(logging.WARNING, logger="headrace"):
        create_topics(settings)
    (said,) = [record.getMessage() for record in caplog.records if name in record.getMessage()]
    assert "retention.ms=60000 (headrace gives 604800000)" in said and "left as it is" in said
    asked = [ConfigResource(ConfigResourceType.TOPIC, name)]
    found = admin.describe_configs(asked, config_filter="all")["topic"][name]
    assert found["retention.ms"]["value"] == "60000"


@pytest.mark.usefixtures("apache")
@pytest.mark.parametrize("codec", CODECS)
def test_batches_that_a_broker_keeps_compressed_are_read(
    settings: config.Settings, codec: str
) -> None:
    create_topics(settings)
    topic = Topics(settings.namespace).events
    producer = KafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap, compression_type=codec, linger_ms=20
    )
    values = [b"%d " % number * 50 for number in range(300)]
    for value in values:
        producer.send(topic, value, partition=1)
    producer.close()
    with closing(LogReader(settings, topic, {1: 0})) as reader:
        records = poll_until(reader, lambda records: len(records) == len(values))
    assert [record.value for record in records] == values
