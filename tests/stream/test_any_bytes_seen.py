"""Whatever lies in a topic or in a Redis key, archive, view and commands go on and count it."""

from __future__ import annotations

import os
import zlib
from functools import partial
from pathlib import Path

import msgspec
import pytest
from junk import JUNK, click, counts, records_of_topic, running, send, shown_of, skipped, until
from redis import Redis

from headrace import config
from headrace.broker.topics import Topics
from headrace.cli import main
from headrace.clock import now_ms
from headrace.offline.archive import Archive
from headrace.offline.folder import EVENTS, SAMPLES, log_folder
from headrace.offline.tables import records_of
from headrace.paths import FEATURE_ROWS
from headrace.sample import decode_batch
from headrace.up.display.totals import Observer

pytestmark = pytest.mark.services


def archive_reaches(archive: Archive, settings: config.Settings) -> bool:
    """Whether the folders have all records of their topics, some steps later."""
    for _ in range(10):
        archive.step()
    topics = Topics(settings.namespace)
    logs = {EVENTS: topics.events, SAMPLES: topics.samples, FEATURE_ROWS: topics.feature_rows}
    return all(
        sum(log_folder(settings, log).resume().values()) == len(records_of_topic(settings, topic))
        for log, topic in logs.items()
    )


def test_the_archive_keeps_what_is_good_beside_junk_and_goes_on_where_it_was(
    servers: config.Settings,
) -> None:
    topics, before = Topics(servers.namespace), counts(servers)[0]
    send(servers, topics.events, *JUNK)
    with running(servers):
        click(servers, "ann")
        until(lambda: counts(servers)[0] > before, "there is a sample")
    good = [record for record in records_of_topic(servers, topics.samples) if record.value]
    for topic in (topics.samples, topics.feature_rows):
        send(servers, topic, *JUNK)
    counted: dict[tuple[str, str], int] = {}
    absurd = [b'{"event_time_ms": %d}' % 10**n for n in (17, 18, 25)]
    send(servers, topics.events, *absurd)
    for number in range(2):  # the second goes on where the first ended
        archive = Archive(config.changed(servers, archive_every_s=1e-3), now_ms)
        until(partial(archive_reaches, archive, servers), "all is archived")
        archive.run(lambda: True)
        counted = skipped(servers) if not number else counted
    events = log_folder(servers, EVENTS)
    found = [r.offset for t in events.tables(0) for r in records_of(t, 0)]
    assert found == list(range(len(found))) and len(found) > len(JUNK)
    kept = sum(len(t) for n in (0, 1) for t in log_folder(servers, SAMPLES).tables(n))
    assert kept == sum(len(decode_batch(record.value)) for record in good)
    assert counted["archive", "samples"] >= len(JUNK) <= counted["archive", "feature-rows"]
    assert list(log_folder(servers, FEATURE_ROWS).spans())


def test_the_view_shows_what_can_be_read_whatever_lies_in_its_keys(
    servers: config.Settings, redis_of_servers: Redis
) -> None:
    with running(servers):
        until(lambda: Observer(servers).is_up("stream", now_ms()), "it reports")
        before = Observer(servers).totals(now_ms())
        for part in ("stream", "train", "serve", "replay", "archive"):
            for n, junk in enumerate([*JUNK, b'{"updated_ms": 1, "pid": 2}', b'{"pid": []}']):
                redis_of_servers.set(f"junk:status:{part}:x{n}", junk or b"0")
                redis_of_servers.sadd(f"junk:status:{part}", f"x{n}")
            redis_of_servers.sadd(f"junk:status:{part}", b"\xff\xfe")
        redis_of_servers.hset("{junk:stream}:commits", "x", b"junk")
        redis_of_servers.hset("{junk:stream}:commits", "7", b"junk")
        for n, junk in enumerate(JUNK):
            redis_of_servers.hset("junk:progressive", n, zlib.compress(junk) if n % 2 else junk)
        redis_of_servers.hset("junk:progressive", b"\xff", zlib.compress(b"0" * 10**7))
        redis_of_servers.set("junk:model_version", b"\xff")
        redis_of_servers.set("junk:served_versions", "text")
        totals = Observer(servers).totals(now_ms())
        assert (totals.accepted, totals.stream_lag) == (before.accepted, 0)
        assert totals.skipped > len(JUNK) and totals.windows == {} and totals.num_published == 0
        until(lambda: ("status", "status") in skipped(servers), "it is in features status")
        for key in ("junk:status:stream", "junk:status:train"):
            redis_of_servers.delete(key)
            redis_of_servers.set(key, "of another kind")
        until(lambda: Observer(servers).is_up("stream", now_ms()), "a worker takes its key back")
    redis_of_servers.hdel("{junk:stream}:commits", "x", "7")


def test_dead_letters_are_listed_shown_and_sent_again(
    servers: config.Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.environ.update(config.environment(servers))
    topic, before = Topics(servers.namespace).events, counts(servers)
    send(servers, Topics(servers.namespace).dead_letters, b"no letter", b"")
    bad = (
        b'{"type":"click","event_id":"m1","event_time_ms":%d,"user_id":"zoe","item":"7"}' % now_ms()
    )
    send(servers, topic, bad)
    with running(servers):
        until(lambda: counts(servers)[1] > before[1], "it is rejected")
        assert main(["dead-letters", "list", "--limit", "3", "--reason", "`item`"]) == 0
        place, told = (out := capsys.readouterr().out).split()[0], out
        assert "1 x" in told and "1 letters" in told
        assert main(["dead-letters", "show", place]) == 0
        assert '"user_id": "zoe"' in capsys.readouterr().out
        assert main(["dead-letters", "show", "9:9"]) == 2
        mended = tmp_path / "mended.jsonl"
        mended.write_bytes(bad.replace(b'"item"', b'"item_id"') + b"\n" + bad)
        assert main(["dead-letters", "replay", "--file", str(mended)]) == 1
        assert "line 2: " in capsys.readouterr().out and counts(servers)[0] == before[0]
        mended.write_bytes(bad.replace(b'"item"', b'"item_id"') + b"\n\n")
        for _ in range(2):
            assert main(["dead-letters", "replay", "--file", str(mended)]) == 0
        until(lambda: shown_of(servers, "zoe") == 1, "the mended one counts")
        assert main(["dead-letters", "replay", "--reason", "`item`"]) == 1
        assert "0 sent, 1 refused" in capsys.readouterr().out
    assert shown_of(servers, "zoe") == 1
    assert main(["dead-letters", "list", "--json", "--oldest-first", "--limit", "99"]) == 0
    assert all(msgspec.json.decode(line) for line in capsys.readouterr().out.splitlines())
