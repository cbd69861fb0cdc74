"""Items and users out of a file into the topic and back, on the embedded broker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace import config
from headrace.broker.topics import Topics
from headrace.broker.writer import LogWriter
from headrace.documents.document import ITEM, accept_part
from headrace.documents.exchange import export_file, import_file
from headrace.documents.messages import part_message, removal
from headrace.errors import DatasetError
from headrace.services.kafka import start_broker

pytestmark = pytest.mark.services

MUG = {"item_id": "mug", "title": "A mug", "price_micros": 5, "currency": "EUR"}
ITEMS = [MUG, {"item_id": "pen", "attributes": {"sizes": [1, "m"], "new": True}}]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[config.Settings]:
    folder = tmp_path_factory.mktemp("exchange")
    with start_broker(folder / "kafka", {}) as broker:
        yield config.settings(namespace="exchange", home=folder, kafka_bootstrap=broker.bootstrap)


def written(path: Path, documents: list[object]) -> str:
    path.write_text("".join(f"{json.dumps(one)}\n" for one in documents))
    return str(path)


def read(path: Path) -> list[object]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_what_is_imported_is_exported_with_what_changed_since(
    settings: config.Settings, tmp_path: Path
) -> None:
    assert import_file(settings, "items", written(tmp_path / "in.jsonl", ITEMS)) == 2
    assert export_file(settings, "items", str(tmp_path / "out.jsonl")) == 2
    assert read(tmp_path / "out.jsonl") == ITEMS
    writer, topic = LogWriter(settings), Topics(settings.namespace).items
    part = part_message(ITEM, accept_part(ITEM, {"item_id": "mug", "currency": None, "stock": 0}))
    for message in (part, removal("pen")):
        writer.send(topic, message.value, message.key)
    writer.flush()
    writer.close()
    export_file(settings, "items", str(tmp_path / "out.jsonl"))
    expected = {"item_id": "mug", "title": "A mug", "price_micros": 5, "stock": 0}
    assert read(tmp_path / "out.jsonl") == [expected]


def test_a_line_that_is_none_is_named_and_nothing_is_told(
    settings: config.Settings, tmp_path: Path
) -> None:
    users: list[object] = [
        {"user_id": "ann", "attributes": {"age": 3}},
        {"user_id": "bob", "age": 3},
    ]
    path = written(tmp_path / "users.jsonl", users)
    with pytest.raises(DatasetError, match="line 2: age: .*unknown field.*nothing of this file"):
        import_file(settings, "users", path)
    assert export_file(settings, "users", str(tmp_path / "out.jsonl")) == 0
    assert import_file(settings, "users", written(tmp_path / "users.jsonl", users[:1])) == 1
    assert export_file(settings, "users", str(tmp_path / "out.jsonl")) == 1
