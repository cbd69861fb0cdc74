"""A shop whose only user has seen everything gets another catalogue while the platform runs: over
HTTP, and by files. Slates follow within two seconds, without a restart, and so do vectors."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from platform_run import PlatformRun
from second_terminal import Terminal, environ_of

from headrace.broker.reader import LogReader
from headrace.broker.topics import Topics
from headrace.catalogue.vector_table import SCHEMA, VectorTable
from headrace.catalogue.vectors import ContentVectors
from headrace.encoders.arrivals.messages import VectorFollower
from headrace.keys import key
from headrace.skipped import Skipped

pytestmark = [pytest.mark.loop, pytest.mark.services, pytest.mark.ray]

WITHIN_S = 2.0
NUM_EVENTS = 530
MAPPING = """\
events:
  file: events.csv
  user_id: u
  item_id: i
  time: {column: t, unit: iso}
  clicked: c
items:
  file: items.csv
  item_id: id
  title: name
  categories: cat
  vector: v
"""
TABLE = "given_vector/1-2d"
ENCODED_WITHIN_S = 10.0


def write_shop(folder: Path, numbers: range, name: str) -> Path:
    """A shop of these items, and a log of one user who saw the first 30, and of others."""
    folder.mkdir()
    (folder / "headrace.yaml").write_text(MAPPING)
    items = "".join(f"{n},{name} {n},c{n % 4},{n}|1\n" for n in numbers)
    (folder / "items.csv").write_text(f"id,name,cat,v\n{items}")
    lines = []
    for n in range(NUM_EVENTS):
        user = "all" if n < 30 else f"u{n % 25}"
        minutes, seconds = divmod(20 * n, 60)
        at = f"2024-05-01T{minutes // 60:02}:{minutes % 60:02}:{seconds:02}Z"
        lines.append(f"{user},{n % 30 + 1},{at},{int(n % 3 == 0 and n >= 30)}\n")
    (folder / "events.csv").write_text("u,i,t,c\n" + "".join(lines))
    return folder


def write_vectors(home: Path) -> None:
    """A finished table, with the vector of one item as it was once."""
    table = VectorTable(home / "vectors", TABLE)
    row = {"item_id": "1", "content_hash": 7, "vector": [9.0, 9.0], "problem": None}
    table.append(pa.Table.from_pylist([row], SCHEMA))
    table.finish({"1": 7})


@dataclass(frozen=True)
class Shop:
    """The running platform of a shop of 30, and a terminal beside it."""

    terminal: Terminal
    next: Path

    def slate(self) -> dict[str, str]:
        """The titles by item of a slate of everything."""
        asked = {"user_id": "all", "num_items": 100, "record": False}
        status, slate = self.terminal.platform.post("/v1/recommend", asked)
        assert status == 200, slate
        return {item["item_id"]: item["title"] for item in slate["items"]}

    def ask(self, method: str, path: str, sent: Any = None) -> int:
        address = f"http://127.0.0.1:{self.terminal.platform.port}{path}"
        request = urllib.request.Request(address, json.dumps(sent).encode(), method=method)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=10) as response:
            return int(response.status)

    def vector(self, item_id: str) -> list[float] | None:
        """What a ranker that starts now reads of an item."""
        settings = self.terminal.settings
        vectors = ContentVectors.of(settings)
        follower = VectorFollower(vectors, Skipped())
        start = dict.fromkeys(range(settings.stream.num_partitions), 0)
        with closing(LogReader(settings, Topics(settings.namespace).item_vectors, start)) as reader:
            for records in reader.read_to_end():
                follower.take(records)
        vector_UMW, mask_UM = vectors.vectors(np.array([key(item_id)]))
        return vector_UMW[0, 0].tolist() if mask_UM[0, 0] else None

    def becomes(self, expected: dict[str, str]) -> None:
        """Returns when slates are so; fails where they are not in time."""
        began_s = time.monotonic()
        while (slate := self.slate()) != expected:
            assert time.monotonic() - began_s < WITHIN_S, slate
            time.sleep(0.05)

    def materialize(self, folder: Path) -> subprocess.CompletedProcess[str]:
        return self.terminal.run(f"headrace materialize --data {folder}")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("next")
    first = write_shop(folder / "first", range(1, 31), "Thing")
    second = write_shop(folder / "next", range(11, 36), "New name")
    write_vectors(folder / "home")
    given = {"HEADRACE_HOME": str(folder / "home"), "HEADRACE_VECTOR_TABLES": TABLE}
    environ = {"KAFKA_HOME": "", "XDG_RUNTIME_DIR": str(folder), **given}
    run = PlatformRun(folder, first, 200.0, environ)
    try:
        run.wait_report()
        yield Shop(Terminal(folder, environ_of(folder), run), second)
    finally:
        run.close()


FIRST = {str(n): f"Thing {n}" for n in range(1, 31)}
NEXT = {str(n): f"New name {n}" for n in range(11, 36)}


def test_a_user_who_has_seen_everything_gets_it_again_and_then_what_is_new(shop: Shop) -> None:
    assert shop.slate() == FIRST
    assert shop.ask("PUT", "/v1/items", {"item_id": "31", "title": "Thing 31"}) == 202
    shop.becomes({**FIRST, "31": "Thing 31"})


def test_the_next_catalogue_over_http(shop: Shop) -> None:
    items = [{"item_id": one, "title": name, "categories": ["c1"]} for one, name in NEXT.items()]
    assert shop.ask("PUT", "/v1/items", items) == 202
    for number in range(1, 11):
        assert shop.ask("DELETE", f"/v1/items/{number}") == 202
    shop.becomes(NEXT)


def test_the_first_catalogue_and_the_next_one_by_files(shop: Shop) -> None:
    for folder, expected in ((shop.next.parent / "first", FIRST), (shop.next, NEXT)):
        done = shop.materialize(folder)
        assert done.returncode == 0, done.stderr
        shop.becomes(expected)
    assert "25 items and users are new or other, 10 are gone" in done.stdout


def test_what_is_put_is_encoded_while_the_platform_runs(shop: Shop) -> None:
    item = {"item_id": "35", "title": NEXT["35"], "vector": [3.0, 4.0]}
    assert shop.ask("PUT", "/v1/items", item) == 202
    began_s = time.monotonic()
    while (vector := shop.vector("35")) != [3.0, 4.0]:
        assert time.monotonic() - began_s < ENCODED_WITHIN_S, vector
    assert shop.vector("34") == [34.0, 1.0]  # of the catalogue by files
