"""Items that wait to be encoded: none is left out, whatever comes and whenever who encodes dies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from headrace.broker.log_sender import Message
from headrace.broker.record import Record
from headrace.broker.topics import LogIdentity
from headrace.documents.document import (
    ITEM,
    ItemDocument,
    ItemPatch,
    accept_part,
    accept_whole,
    merged,
)
from headrace.documents.messages import MessageReader, part_message, removal, whole_message
from headrace.encoders.arrivals.locations import Locations
from headrace.encoders.arrivals.waiting import Waiting
from headrace.skipped import Skipped

LOG = LogIdentity("here", {"items": "1"})
TABLES = {"text/1": "text", "vector/1": "vector"}


@contextmanager
def opened(folder: Path, skipped: Skipped | None = None) -> Iterator[Waiting]:
    path = folder / "waiting.sqlite"
    waiting = Waiting(path, TABLES, Locations().hash_of, skipped or Skipped())
    with closing(waiting):
        yield waiting


def whole(item_id: str, **fields: Any) -> Message:
    return whole_message(ITEM, accept_whole(ITEM, {"item_id": item_id, **fields}))


def part(item_id: str, **fields: Any) -> Message:
    return part_message(ITEM, accept_part(ITEM, {"item_id": item_id, **fields}))


def records(messages: Sequence[Message], first: int = 0) -> list[Record]:
    each = enumerate(messages, first)
    return [Record(0, n, 1_000 + n, message.key, message.value or b"") for n, message in each]


def encoded(waiting: Waiting, topic: dict[str, dict[str, Any]], is_noted: bool = True) -> None:
    """Send what waits for each table, and note it unless whoever does so dies before."""
    for name, modality in TABLES.items():
        waits = waiting.batch(name, 2)
        waiting.begin(name, waits)
        for one in waits:
            read = {"text": "title", "vector": "vector"}[modality]
            topic[name][one.item_id] = one.document and getattr(one.document, read)
        if is_noted:
            waiting.done(name, waits)


def test_new_changed_and_removed_items_wait_and_others_do_not(tmp_path: Path) -> None:
    topic: dict[str, dict[str, Any]] = {name: {} for name in TABLES}
    with opened(tmp_path) as waiting:
        assert waiting.bind(LOG) == {}
        waiting.take(records([whole("mug", title="Mug"), whole("cup", title="Cup", vector=[1.0])]))
        assert [one.item_id for one in waiting.batch("text/1", 5)] == ["mug", "cup"]
        assert (waiting.num_waiting("vector/1"), waiting.since_ms()) == (1, 1_000)
        encoded(waiting, topic)
        assert (waiting.num_waiting("text/1"), waiting.since_ms()) == (0, None)
        waiting.take(records([part("mug", stock=3), whole("cup", title="Cup", vector=[1.0])], 2))
        assert waiting.since_ms() is None  # no content has changed
        waiting.take(records([part("mug", title="Big mug"), removal("cup")], 4))
        encoded(waiting, topic)
    assert topic["text/1"] == {"mug": "Big mug", "cup": None}
    assert topic["vector/1"] == {"cup": None}


def test_vectors_of_a_table_are_not_made_again(tmp_path: Path) -> None:
    told = [whole("mug", title="Mug", vector=[1.0, 2.0]), whole("cup", title="Cup")]
    with opened(tmp_path) as waiting:
        waiting.bind(LOG)
        waiting.take(records(told))
        hashes = {one.item_id: one.content_hash or 0 for one in waiting.batch("text/1", 5)}
    with TemporaryDirectory() as folder, opened(Path(folder)) as waiting:
        waiting.bind(LOG)
        waiting.note_encoded("text/1", {"mug": hashes["mug"], "cup": 1})
        waiting.note_encoded("vector/1", {"cup": 5})
        waiting.take(records(told))
        assert [one.item_id for one in waiting.batch("text/1", 5)] == ["cup"]
        assert [one.item_id for one in waiting.batch("vector/1", 5)] == ["mug"]


def test_another_log_begins_anew_and_the_same_one_goes_on(tmp_path: Path) -> None:
    with opened(tmp_path) as waiting:
        waiting.bind(LOG)
        waiting.take(records([whole("mug", title="Mug")]))
    with opened(tmp_path) as waiting:
        assert waiting.bind(LOG) == {0: 1} and waiting.num_waiting("text/1") == 1
        assert waiting.bind(LogIdentity("here", {"items": "2"})) == {}
        assert waiting.num_waiting("text/1") == 0


def test_junk_is_counted_and_passed_over(tmp_path: Path) -> None:
    skipped = Skipped()
    with opened(tmp_path, skipped) as waiting:
        waiting.bind(LOG)
        waiting.take([Record(0, n, 0, key, b"\xff{") for n, key in enumerate((b"mug", b"\xff"))])
        waiting.take(records([part("none", title="x"), whole("mug", title="Mug")], 2))
        assert skipped.total() == 3
        assert [one.item_id for one in waiting.batch("text/1", 5)] == ["mug"]


IDS = st.sampled_from(["mug", "cup", "pen"])
TITLES = st.sampled_from(["A", "B", ""])
VECTORS = st.none() | st.sampled_from([[1.0], [2.0]])


@st.composite
def messages(draw: st.DrawFn) -> list[Message]:
    told = []
    for _ in range(draw(st.integers(0, 10))):
        item_id, kind = draw(IDS), draw(st.sampled_from("wwpr"))
        if kind == "r":
            told.append(removal(item_id))
        elif kind == "p":
            told.append(part(item_id, title=draw(TITLES), vector=draw(VECTORS)))
        else:
            vector = draw(VECTORS)
            given_ = {"vector": vector} if vector else {}
            told.append(whole(item_id, title=draw(TITLES), **given_))
    return told


@given(messages(), st.data())
def test_after_any_steps_and_deaths_the_topic_has_what_the_documents_say(
    told: list[Message], data: st.DataObject
) -> None:
    topic: dict[str, dict[str, Any]] = {name: {} for name in TABLES}
    log, done = records(told), False
    with TemporaryDirectory() as folder:
        while not done:
            with opened(Path(folder)) as waiting:
                position = waiting.bind(LOG).get(0, 0)
                for _ in range(data.draw(st.integers(1, 4))):
                    more = log[position : position + data.draw(st.integers(0, 3))]
                    waiting.take(more)
                    position += len(more)
                    encoded(waiting, topic, is_noted=data.draw(st.booleans()))
                done = position == len(log)
        with opened(Path(folder)) as waiting:
            while waiting.since_ms() is not None:
                encoded(waiting, topic)
    documents = after(log)
    for item_id in ("mug", "cup", "pen"):
        document = documents.get(item_id)
        assert (topic["text/1"].get(item_id) or "") == (document.title if document else "")
        assert topic["vector/1"].get(item_id) == (document.vector if document else None)


def after(log: Sequence[Record]) -> dict[str, ItemDocument]:
    """The documents that these messages come to."""
    documents: dict[str, ItemDocument] = {}
    reader: MessageReader[ItemDocument] = MessageReader(ITEM, Skipped())
    for record in log:
        item_id, told = reader.read(record) or ("", None)
        if isinstance(told, ItemPatch):
            if item_id in documents:
                documents[item_id] = merged(documents[item_id], told)
        elif told is None:
            documents.pop(item_id, None)
        else:
            assert isinstance(told, ItemDocument)
            documents[item_id] = told
    return documents
