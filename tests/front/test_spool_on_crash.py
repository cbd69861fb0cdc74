"""Impressions on disk outlive the replica that wrote them, and are counted once."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from stand import Stand, ask, paused, wait_for

from headrace.broker.log_sender import Message
from headrace.broker.spool import Spool
from headrace.broker.topics import Topics
from headrace.broker.writer import LogWriter
from headrace.errors import LogUnavailable
from headrace.skipped import Skipped
from headrace.stream.step.dedupe import Dedupe

pytestmark = pytest.mark.services

NUM_SLATES = 20


def counted(stand: Stand, asked: set[str]) -> tuple[list[str], int]:
    """The ids of these impressions that the stream counts, and how often they lie in the log."""
    seen = Dedupe(1_000)  # of all partitions: a copy goes where the first one went
    events = [event for event in stand.logged() if event.event_id in asked]
    ids = [(event.user_id, event.event_id) for event in events]
    copies = seen.duplicates(ids, range(len(ids)))
    return [e.event_id for e, again in zip(events, copies, strict=True) if not again], len(events)


def spooled(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("*.spool"))


def send_half_and_crash(stand: Stand) -> None:
    """What is left of a replica that was killed while it sent a segment."""

    def send(messages: Sequence[Message]) -> None:
        with closing(LogWriter(stand.settings)) as writer:
            for message in messages[: len(messages) // 2]:
                writer.send(Topics("front").events, message.value, message.key)
            writer.flush()
        raise LogUnavailable("killed here")

    spool = Spool(stand.settings.spool_path, 1, Skipped())
    with pytest.raises(LogUnavailable):
        spool.drain(send)


def test_a_replica_that_ends_leaves_nothing_in_memory(replica: Stand) -> None:
    folder = replica.settings.spool_path
    with paused(replica.broker.process):
        asked = {replica.slate().document["request_id"] for _ in range(5)}
        assert replica.replica is not None
        replica.replica.terminate()  # before it is known that the broker is away
        assert replica.replica.wait(20) == 0
        assert all(one.encode() in spooled(folder) for one in asked)
    replica.start()
    wait_for("an empty spool", lambda: not spooled(folder))
    assert sorted(counted(replica, asked)[0]) == sorted(asked)


def test_spooled_impressions_survive_a_crash_and_a_crash_while_sending(replica: Stand) -> None:
    folder = replica.settings.spool_path
    with paused(replica.broker.process):
        asked = {replica.slate().document["request_id"] for _ in range(NUM_SLATES)}
        wait_for("the mark", lambda: "no_log" in replica.slate(record=False).document["degraded"])
        wait_for("the spool", lambda: all(one.encode() in spooled(folder) for one in asked))
        for path in folder.glob("*.spool"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        replica.kill()
    send_half_and_crash(replica)
    replica.start()
    wait_for("an empty spool", lambda: not list(folder.glob("*.spool")))
    ids, num_copies = counted(replica, asked)
    assert sorted(ids) == sorted(asked)
    assert num_copies >= NUM_SLATES + NUM_SLATES // 2  # and what the broker had half received
    assert ask(replica.port, "/readyz").document["impressions"] == "ok"
