"""Events that a foreign producer put where their users do not belong, and events that are gone."""

from __future__ import annotations

import pytest
from one_partition import NUMBER, WINDOW_MS, Stream, click, opened

from headrace.broker.log_watch import Gap
from headrace.broker.partitioner import partition_of
from headrace.positions.commit import Commit
from headrace.stream.step import partition as partitions
from headrace.stream.step.partition import Partition, PartitionSettings

NUM_PARTITIONS = 5
USERS = [f"user-{number}" for number in range(40)]
AT_HOME = [u for u in USERS if partition_of(u.encode(), NUM_PARTITIONS) == NUMBER]
ELSEWHERE = [u for u in USERS if u not in AT_HOME]


@pytest.fixture
def stream() -> Stream:
    stream = Stream()
    rules = PartitionSettings(100, WINDOW_MS, num_partitions=NUM_PARTITIONS)
    stream.partition = Partition(NUMBER, Commit(), stream.merged, rules)
    return stream


def test_events_of_users_at_home_are_not_counted(stream: Stream) -> None:
    stream.send(*(click("mug", user=user) for user in AT_HOME))
    assert stream.partition.commit.misplaced == 0 and not stream.partition.commit.first_misplaced


def test_each_event_of_a_user_who_belongs_elsewhere_is_counted_and_the_first_is_named(
    stream: Stream, caplog: pytest.LogCaptureFixture
) -> None:
    stranger, copied = ELSEWHERE[0], click("mug", user=ELSEWHERE[0])
    stream.send(click("mug", user=AT_HOME[0]), copied, copied, b"not an event")
    stream.send(click("pen", user=stranger), click("mug", user=ELSEWHERE[1]))
    commit = stream.partition.commit
    assert (commit.accepted, commit.duplicates, commit.rejected) == (4, 1, 1)
    assert commit.misplaced == 3
    home = partition_of(stranger.encode(), NUM_PARTITIONS)
    where = f"partition {NUMBER}, offset 1, a key of 0 bytes"
    named = f"{where}: its user belongs to partition {home}"
    assert commit.first_misplaced == named
    assert [named in record.getMessage() for record in caplog.records] == [True]
    assert stranger not in caplog.text


def test_they_are_counted_as_well_after_the_user_was_forgotten(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "MAX_USERS", 4)
    rules = PartitionSettings(100, WINDOW_MS, num_partitions=NUM_PARTITIONS)
    stream.partition = Partition(NUMBER, Commit(), stream.merged, rules)
    for user in [*ELSEWHERE[:9], *AT_HOME, *ELSEWHERE[:9]]:
        stream.send(click("mug", user=user))
    assert stream.partition.commit.misplaced == 18


def test_events_that_are_gone_are_counted_and_the_rest_is_gone_on_with(
    stream: Stream, caplog: pytest.LogCaptureFixture
) -> None:
    impression = opened("r1", "mug", user=AT_HOME[0])
    stream.send(impression)
    stream.partition.skip(Gap("shop.events", NUMBER, range(1, 8)))
    commit = stream.partition.commit
    assert (commit.offset, commit.low_offset, commit.lost) == (8, 0, 7)
    stream.offset = 8
    stream.send(click("mug", "r1", user=AT_HOME[0]), at_ms=1)
    assert stream.partition.commit.accepted == 2 and stream.partition.commit.offset == 9
    assert "topic shop.events, partition 3 begins at offset 8: the 7 messages" in caplog.text
