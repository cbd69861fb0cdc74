"""The status board: what each instance of a part last said, found without a search."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
import redis as redis_client

from headrace.features.schema import VIEW_SCHEMA
from headrace.monitoring.documents import (
    EVERY,
    ArchiveDocument,
    Document,
    EncodeDocument,
    ReplayDocument,
    ServeDocument,
    StreamDocument,
    TrainDocument,
)
from headrace.monitoring.health import read_health, stream_documents
from headrace.monitoring.status import KEEP_S, StatusBoard
from headrace.services.redis import RedisServer, start_redis
from headrace.skipped import Skipped, SkippedKind

pytestmark = pytest.mark.services

NOW_MS = 1_714_554_000_000
STAMP = {"updated_ms": NOW_MS, "pid": 7}
# As the first build wrote them, which had no structs: field by field the same on the wire.
WRITTEN_BEFORE: dict[type[Document], dict[str, object]] = {
    ReplayDocument: {"sent": 5, "impressions": 4, "of": 9, "done": False},
    StreamDocument: {
        "worker": 1,
        "lag": 3,
        "corrected": {"ahead": "partition 0 offset 1"},
        "skipped": [{"source": "events", "reason": "junk", "count": 2, "first": "here"}],
        "unknown": {"items": {"kept": 1}},
        "lost_rows": 0,
        "stores": [{"address": "10.0.0.1:6379", "policy": "noeviction", "persists": None}],
        "schema": 1,
        "views": {
            "user_stats": {
                "rows": 1,
                "expired": 0,
                "newest_event_ms": NOW_MS,
                "latency": [[100, 1]],
                "window": {"rows": [1], "nulls": [0], "sum": [None], "bins": [[0] * 10]},
            }
        },
    },
    TrainDocument: {
        **{"lag": None, "samples": 40, "left_out": 1, "given_up": 0, "held": ""},
        **{"unreadable_samples": 0, "lost_messages": 0, "skipped": [], "skipped_batches": 0},
        **{"version": 2, "ids": {"item": 3}},
    },
    ServeDocument: {
        **{"requests": 8, "failures": 0, "refused": {"slates": 0}, "lost_impressions": 0},
        **{"spooled_bytes": 0, "latency": [[90, 8]], "model_version": 2},
        **{"model_created_ms": NOW_MS, "model_freshness": [], "error": "", "skipped": []},
    },
    ArchiveDocument: {"lag": 0, "lost": 0, "skipped": []},
    EncodeDocument: {
        **{"waiting": {"text/1": 2}, "lag_ms": 5, "encoded": 9, "failed": 1},
        **{"last_failure": "item 'mug': no picture", "skipped": []},
    },
}
every_document = pytest.mark.parametrize("form", EVERY, ids=lambda form: form.part)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with start_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis(server: RedisServer) -> Iterator[redis_client.Redis]:
    with redis_client.Redis.from_url(server.admin_url) as client:
        client.flushdb()
        yield client


def lies(redis: redis_client.Redis, part: str, *payloads: bytes) -> None:
    """Let these bytes lie where instances of a part write."""
    for number, payload in enumerate(payloads):
        redis.set(f"it:status:{part}:x{number}", payload)
        redis.sadd(f"it:status:{part}", f"x{number}")


def test_an_instance_replaces_its_own_document_and_no_other(redis: redis_client.Redis) -> None:
    one, other = StatusBoard(redis, "it"), StatusBoard(redis, "it")
    one.write(ArchiveDocument(lag=5), NOW_MS)
    other.write(ArchiveDocument(lag=7), NOW_MS)
    one.write(ArchiveDocument(lag=0), NOW_MS + 1)
    documents = StatusBoard(redis, "it").read(ArchiveDocument)
    assert sorted((d.lag, d.updated_ms) for d in documents) == [(0, NOW_MS + 1), (7, NOW_MS)]


def test_parts_and_namespaces_do_not_see_each_other(redis: redis_client.Redis) -> None:
    StatusBoard(redis, "it").write(ArchiveDocument(lag=0), NOW_MS)
    assert StatusBoard(redis, "it").read(TrainDocument) == []
    assert StatusBoard(redis, "it2").read(ArchiveDocument) == []


def test_a_document_that_has_disappeared_is_forgotten(redis: redis_client.Redis) -> None:
    gone, here = StatusBoard(redis, "it"), StatusBoard(redis, "it")
    gone.write(ArchiveDocument(lag=1), NOW_MS)
    here.write(ArchiveDocument(lag=2), NOW_MS)
    (key,) = [k for k in redis.scan_iter("it:status:archive:*") if b'"lag":1' in redis.get(k)]
    assert 0 < redis.ttl(key) <= KEEP_S
    redis.delete(key)
    assert [document.lag for document in here.read(ArchiveDocument)] == [2]
    assert redis.scard("it:status:archive") == 1


@every_document
def test_a_document_of_the_first_build_is_read_and_written_field_by_field_as_it_was(
    redis: redis_client.Redis, form: type[Document]
) -> None:
    before = {**STAMP, **WRITTEN_BEFORE[form]}
    lies(redis, form.part, msgspec.json.encode(before))
    (document,) = StatusBoard(redis, "it").read(form)
    assert (document.updated_ms, document.pid) == (NOW_MS, 7)
    StatusBoard(redis, "it2").write(document, NOW_MS + 1)
    (key,) = redis.scan_iter(f"it2:status:{form.part}:*")
    now = msgspec.json.decode(redis.get(key))
    assert before.keys() <= now.keys() and now["updated_ms"] == NOW_MS + 1
    compared = before.keys() - STAMP.keys() - {"stores"}  # the defaults of a store are said, too
    assert {name: now[name] for name in compared} == {name: before[name] for name in compared}


@every_document
def test_what_a_later_build_says_beside_it_is_passed_over(
    redis: redis_client.Redis, form: type[Document]
) -> None:
    later = {**STAMP, **WRITTEN_BEFORE[form], "mood": ["of", {"a": "later"}, "build"]}
    lies(redis, form.part, msgspec.json.encode(later))
    skipped = Skipped()
    assert len(StatusBoard(redis, "it", skipped).read(form)) == 1 and skipped.total() == 0


@every_document
def test_what_is_no_document_is_counted_and_the_others_are_read(
    redis: redis_client.Redis, form: type[Document]
) -> None:
    good = {**STAMP, **WRITTEN_BEFORE[form]}
    damaged: list[object] = [
        {**good, "updated_ms": -1},
        {**good, "pid": "seven"},
        WRITTEN_BEFORE[form],  # it does not say when it was written
        STAMP,  # and this one says nothing else
        [good],
        None,
    ]
    payloads = [*map(msgspec.json.encode, damaged), b"", b"\xff", b'{"a":' * 9_000]
    lies(redis, form.part, msgspec.json.encode(good), *payloads)
    skipped = Skipped(say=lambda line: None)
    assert len(StatusBoard(redis, "it", skipped).read(form)) == 1
    assert skipped.counts() == {("status", "no document"): len(payloads)}


def test_numbers_beyond_those_that_can_be_are_no_document(redis: redis_client.Redis) -> None:
    huge = str(10**400).encode()
    kind = b'{"source":"a","reason":"b","first":"c","count":' + huge + b"}"
    document = b'{"updated_ms":1,"pid":1,"lag":0,"skipped":[' + kind + b"]}"
    lies(redis, "archive", document, b'{"updated_ms":1,"pid":1,"lag":' + huge + b"}")
    skipped = Skipped(say=lambda line: None)
    assert StatusBoard(redis, "it", skipped).read(ArchiveDocument) == []
    assert skipped.total() == 2


def test_a_worker_whose_views_are_not_those_of_its_feature_table_is_counted(
    redis: redis_client.Redis,
) -> None:
    wrong = {**STAMP, **WRITTEN_BEFORE[StreamDocument], "schema": VIEW_SCHEMA}
    lies(redis, "stream", msgspec.json.encode(wrong))
    skipped = Skipped(say=lambda line: None)
    assert stream_documents(StatusBoard(redis, "it", skipped), skipped) == []
    assert skipped.counts() == {("status", "views that cannot be"): 1}
    health = read_health(redis, "it", NOW_MS)
    assert ("status", "views that cannot be") in {(p, k.reason) for p, k in health.skipped}


def test_what_the_parts_skipped_comes_through_their_documents(redis: redis_client.Redis) -> None:
    skipped = (SkippedKind("samples", "no samples", 3, "partition 0 offset 4"),)
    StatusBoard(redis, "it").write(TrainDocument(lag=0, samples=1, skipped=skipped), NOW_MS)
    health = read_health(redis, "it", NOW_MS)
    assert health.skipped == (("train", skipped[0]),)
