"""Times that lie ahead, of events, records and readers: nothing of others moves by them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from one_partition import NUMBER, START_MS, WINDOW_MS, Stream, click, known, opened

from headrace.broker.record import Record
from headrace.epoch import PER_SECOND
from headrace.event import MAX_AHEAD_MS, Event, ImpressionEvent, Shown, encode
from headrace.features.rows.state_row import Rows, decode_rows
from headrace.features.table import ITEM_LAYOUT, USER_LAYOUT
from headrace.offline.tables import event_tables, records_of
from headrace.positions.commit import Commit
from headrace.sample import Sample
from headrace.stream.step.batch_path import BatchPath
from headrace.stream.step.intake import arrived_records, decode_records
from headrace.stream.step.partition import Partition, PartitionSettings

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
LATER_MS = START_MS + 365 * 24 * HOUR_MS
RULES = PartitionSettings(dedupe_window=100, click_window_ms=WINDOW_MS, lateness_ms=1_000)


@dataclass
class Outcome:
    """What came of a log."""

    users: dict[str, bytes]
    items: Rows
    samples: list[Sample]
    commit: Commit

    def state_of(self, user: str) -> bytes:
        state: bytes = decode_rows([self.users[user]], USER_LAYOUT)["state"].tobytes()
        return state

    def windows_of(self, item: str, item_ids: list[str]) -> dict[str, float]:
        """The features of an item, an hour after the log began."""
        state_1 = self.items["state"][item_ids.index(item)][None]
        now_1 = np.array([START_MS + HOUR_MS])
        return {
            feature.name: float(ITEM_LAYOUT.value(feature.name, state_1, now_1)[0])
            for feature in ITEM_LAYOUT.numbers
        }


class Owned(BatchPath):
    """The batch path, with the commit of its only partition."""

    def commit(self) -> Commit:
        partition: Partition = self._partitions[NUMBER]
        return partition.commit


def outcome(records: list[Record], now_ms: int) -> tuple[Outcome, list[str]]:
    """What comes of records that are read at a time, and the items in the order of theirs."""
    path, samples = Owned(lambda item_id: None, RULES), list[Sample]()
    samples += path.process(NUMBER, decode_records(records, now_ms), now_ms).samples
    samples += path.process(NUMBER, (), LATER_MS).samples
    items = path.merged.items
    merged = items.merged(np.arange(len(items)))
    return Outcome(path.user_rows, merged, samples, path.commit()), items.ids


def log_of(events: list[tuple[Event, int]]) -> list[Record]:
    """Records of events, each with its time stamp."""
    return [
        Record(NUMBER, offset, stamp, b"", encode(event))
        for offset, (event, stamp) in enumerate(events)
    ]


def at(event: Event, time_ms: int) -> Event:
    return msgspec.structs.replace(event, event_time_ms=time_ms)


def test_a_record_whose_time_lies_ahead_keeps_no_window_open() -> None:
    stream = Stream()
    stream.send(opened("ahead", "a"), at_ms=50 * MINUTE_MS, now_ms=0)
    stream.send(*(opened(f"fine{n}", "a", user="bob") for n in range(5)))
    stream.send(now_ms=WINDOW_MS)
    assert [sample.request_id for sample in stream.samples] == [
        "ahead",
        *(f"fine{n}" for n in range(5)),
    ]
    commit = stream.partition.commit
    assert (commit.low_offset, commit.accepted, commit.ahead) == (6, 6, 1)
    assert {sample.arrival_ms for sample in stream.samples} == {START_MS}
    told = stream.partition.first_corrected["ahead"]
    assert "partition 3, offset 0" in told and "3000.0 s ahead of this reader's clock" in told


def test_a_record_whose_time_lies_ahead_of_its_log_closes_no_window_of_others() -> None:
    shown = [(opened(f"r{n}", "a", user=f"u{n}"), START_MS + n) for n in range(20)]
    fast = [(known(f"k{n}", [True], user="fast"), START_MS + 50 * MINUTE_MS) for n in range(9)]
    clicks = [(click("a", f"r{n}", user=f"u{n}"), START_MS + 500 + n) for n in range(20)]
    mixed = [event for pair in zip(shown[:9], fast, strict=True) for event in pair]
    got, _ = outcome(log_of([*mixed, *shown[9:], *clicks]), LATER_MS)
    labels = {sample.request_id: sample.clicked for sample in got.samples}
    assert {labels[f"r{n}"] for n in range(20)} == {(1,)}


def test_a_record_that_lies_behind_keeps_no_window_of_others_open() -> None:
    stream = Stream()
    stream.send(opened("r1", "a"))
    slow = [(known(f"k{n}", [True], user=f"u{n}"), START_MS + 5_000 + n) for n in range(50)]
    slow[25] = (known("slow", [True], user="slow"), START_MS - HOUR_MS)
    records = [
        Record(NUMBER, 1 + offset, stamp, b"", encode(event))
        for offset, (event, stamp) in enumerate(slow)
    ]
    decoded = decode_records(records, START_MS + 6_000)
    missing = stream.partition.missing_users(decoded)
    stream.partition.add_users(missing, [None] * len(missing), [()] * len(missing))
    samples = stream.partition.process(decoded, START_MS + 6_000).samples
    assert "r1" in [sample.request_id for sample in samples]


def test_an_event_too_far_ahead_is_refused_and_moves_nothing() -> None:
    stream = Stream()
    effects = stream.send(known("far", [True], at_ms=23 * HOUR_MS), known("now", [True]))
    (letter,) = effects.dead_letters
    assert letter.field == "event_time_ms" and "82800.0 s ahead" in letter.reason
    commit = stream.partition.commit
    assert (commit.accepted, commit.rejected, commit.ahead, commit.late) == (1, 1, 0, 0)
    assert commit.newest_event_ms == START_MS


def test_an_event_within_the_bound_counts_as_of_its_arrival() -> None:
    stream = Stream()
    effects = stream.send(known("soon", [True], at_ms=MAX_AHEAD_MS), known("now", [True]))
    commit = stream.partition.commit
    assert (commit.accepted, commit.ahead, commit.late) == (2, 1, 0)
    assert commit.newest_event_ms == START_MS
    assert {sample.event_time_ms for sample in effects.samples} == {START_MS}
    told = stream.partition.first_corrected["ahead"]
    assert "offset 0" in told and "300.0 s ahead of its arrival" in told


def test_the_windows_of_an_item_are_what_its_events_in_time_make_them() -> None:
    honest = [
        (at(known(f"h{n}", [n % 10 != 0], user=f"u{n}"), START_MS + n), START_MS + n)
        for n in range(100)
    ]
    for hours in (23.9, 0.05):
        bad = at(known("bad", [False], user="clock"), START_MS + int(hours * HOUR_MS))
        as_sent = at(known("bad", [False], user="clock"), START_MS)
        got, ids = outcome(log_of([(bad, START_MS), *honest]), LATER_MS)
        told = [] if hours > 1 else [(as_sent, START_MS)]
        expected, same_ids = outcome(log_of([*told, *honest]), LATER_MS)
        alone = expected.windows_of("i0", same_ids)
        assert got.windows_of("i0", ids) == pytest.approx(alone, rel=1e-12, nan_ok=True)
        assert got.commit.late == 0


@pytest.mark.parametrize("unit", sorted(PER_SECOND))
def test_the_unit_of_a_records_time_does_not_matter(unit: str) -> None:
    stamp = START_MS * PER_SECOND[unit] // 1_000
    (decoded,) = decode_records(log_of([(click("a"), stamp)]), LATER_MS)
    assert decoded.record.arrival_ms == START_MS and not decoded.corrected


def test_a_worker_whose_clock_is_an_hour_behind_refuses_nobody_and_says_so() -> None:
    stream = Stream()
    stream.send(*(known(f"r{n}", [True]) for n in range(3)), now_ms=-HOUR_MS)
    commit = stream.partition.commit
    assert (commit.accepted, commit.rejected, commit.ahead) == (3, 0, 3)
    assert commit.newest_event_ms == START_MS - HOUR_MS
    assert "3600.0 s ahead of this reader's clock" in stream.partition.first_corrected["ahead"]


def test_copies_of_an_event_ahead_are_counted_as_copies() -> None:
    stream = Stream()
    soon = click("a", at_ms=5_000)
    stream.send(soon, soon)
    stream.send(soon)
    commit = stream.partition.commit
    assert (commit.accepted, commit.duplicates, commit.ahead) == (1, 2, 1)


def test_an_event_of_long_ago_is_late_and_changes_no_window() -> None:
    honest = [(known(f"h{n}", [True], user=f"u{n}"), START_MS) for n in range(20)]
    old = [(at(known("old", [False], user="old"), time_ms), START_MS) for time_ms in (0, 1)]
    got, ids = outcome(log_of([*honest, *old]), LATER_MS)
    expected, same_ids = outcome(log_of(honest), LATER_MS)
    assert got.commit.late == 2
    windows, alone = got.windows_of("i0", ids), expected.windows_of("i0", same_ids)
    lately = [name for name in windows if name.endswith(("_1h", "_1d", "_lately"))]
    assert lately and {n: windows[n] for n in lately} == {n: alone[n] for n in lately}


honest_events = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 2), st.booleans(), st.integers(0, 90_000)),
    min_size=1,
    max_size=12,
)
ahead_events = st.lists(
    st.tuples(st.integers(0, 2), st.integers(1, 2 * MAX_AHEAD_MS) | st.integers(1, 10**9)),
    max_size=8,
)


@settings(max_examples=25)
@given(honest_events, ahead_events, st.randoms(use_true_random=False))
def test_whatever_lies_ahead_counts_as_of_its_arrival_or_not_at_all(
    honest: list[tuple[int, int, bool, int]], ahead: list[tuple[int, int]], random: Any
) -> None:
    """Rows, samples and watermark are those of a log without a time ahead, byte by byte."""
    log: list[tuple[Event, Event | None]] = []  # as it was sent; as it counts
    for user, item, clicked, age_ms in honest:
        shown = (Shown(f"i{item}", clicked=clicked),)
        name = f"h{len(log)}"
        sent = ImpressionEvent(name, START_MS - age_ms, f"u{user}", name, shown)
        log.append((sent, sent))
    for item, ahead_ms in ahead:
        name = f"a{len(log)}"
        shown = (Shown(f"i{item}", clicked=True),)
        fast = ImpressionEvent(name, START_MS + ahead_ms, "fast", name, shown)
        log.append((fast, at(fast, START_MS) if ahead_ms <= MAX_AHEAD_MS else None))
    random.shuffle(log)
    got, ids = outcome(log_of([(sent, START_MS) for sent, _ in log]), START_MS)
    kept = log_of([(counted or sent, START_MS) for sent, counted in log])
    kept = [record for record, (_, counted) in zip(kept, log, strict=True) if counted]
    expected, same_ids = outcome(kept, START_MS)
    assert (ids, got.users) == (same_ids, expected.users)
    assert got.items.tobytes() == expected.items.tobytes()
    assert got.samples == expected.samples
    alone = [record for record in kept if b'"fast"' not in record.value]
    without, _ = outcome(alone, START_MS)
    assert all(got.state_of(user) == without.state_of(user) for user in without.users)
    in_time = sum(0 < ms <= MAX_AHEAD_MS for _, ms in ahead)
    assert got.commit == msgspec.structs.replace(
        expected.commit,
        ahead=in_time,
        rejected=len(ahead) - in_time,
        offset=len(log),
        low_offset=len(log),
    )


def test_the_archive_decides_as_the_stream_did() -> None:
    ahead = [at(click(f"i{n}", user=f"u{n}"), START_MS + n * MINUTE_MS) for n in range(1, 8)]
    late = [at(click(f"i{n}", user=f"u{n}"), START_MS - n * MINUTE_MS) for n in range(3)]
    stamps = [START_MS, START_MS * 1_000, START_MS // 1_000, START_MS + 500]
    records = log_of([(event, stamps[n % 4]) for n, event in enumerate([*ahead, *late])])
    of_stream, _ = outcome(records, START_MS)
    tables = event_tables(arrived_records(records, START_MS + 60_000))
    archived = [record for table in tables.values() for record in records_of(table, NUMBER)]
    archived.sort(key=lambda record: record.offset)
    of_archive, _ = outcome(archived, LATER_MS)
    assert of_archive.users == of_stream.users and of_archive.samples == of_stream.samples
    assert of_archive.items.tobytes() == of_stream.items.tobytes()
    assert of_archive.commit == of_stream.commit
    assert (of_stream.commit.rejected, of_stream.commit.ahead) == (2, 5)


def test_a_time_far_ahead_makes_no_folder_of_its_own_in_the_archive() -> None:
    times_ms = (START_MS + 10**9, 10**30, -5, START_MS - 24 * HOUR_MS)
    values = [b'{"event_time_ms":%d}' % time_ms for time_ms in times_ms]
    records = [Record(0, n, START_MS, b"", value) for n, value in enumerate(values)]
    assert sorted(event_tables(records)) == ["date=2024-04-30", "date=2024-05-01"]
