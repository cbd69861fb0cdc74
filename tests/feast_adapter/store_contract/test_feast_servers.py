"""`feast serve` and `feast ui` on the packed store, started for real on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from backends import Repo
from feast.types import Array, Float32, Int64

from headrace.services.ports import LOOPBACK, free_port

ROOT = Path(__file__).resolve().parents[3]
READY_S = 90


@pytest.fixture
def repo(packed: Repo) -> Repo:
    """A repository with a feature_store.yaml, and rows of users a and b."""
    packed.view("stats", {"clicks": Int64, "rate": Float32, "seen": Array(Int64)})
    packed.apply()
    packed.write("stats", user_id=["a", "b"], clicks=[1, 2], rate=[0.5, None], seen=[[7], [8, 9]])
    document = {
        "project": packed.project,
        "provider": "local",
        "registry": str(packed.folder / "registry.db"),
        "online_store": {"type": packed.kind, **packed.online_store},
        "entity_key_serialization_version": 3,
    }
    (packed.folder / "feature_store.yaml").write_text(yaml.safe_dump(document))
    return packed


@contextmanager
def feast(repo: Repo, *command: str, ready: str) -> Iterator[str]:
    """A Feast server of this repository; gives its address once it answers at `ready`."""
    port = free_port()
    words = ["--chdir", str(repo.folder), *command, "--host", LOOPBACK, "--port", str(port)]
    log = repo.folder / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "headrace.feast_adapter.command", *words],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "platform"), *sys.path])},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    address = f"http://{LOOPBACK}:{port}"
    try:
        wait(lambda: get(address + ready), process, log)
        yield address
    finally:
        process.terminate()
        process.wait()


def wait(ready: Callable[[], Any], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            ready()
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise AssertionError(log.read_text())


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        content: bytes = answer.read()
    return content


def post(url: str, document: dict[str, Any]) -> Any:
    content = json.dumps(document).encode()
    request = urllib.request.Request(url, content, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read() or b"null")


def test_the_feature_server_answers_and_takes_pushes(repo: Repo) -> None:
    names = ["clicks", "rate", "seen"]
    ask = {
        "features": [f"stats:{name}" for name in names],
        "entities": {"user_id": ["a", "new", "b"]},
    }
    with feast(repo, "serve", ready="/health") as address:
        answer = post(f"{address}/get-online-features", ask)
        columns = columns_of(answer)
        assert columns["clicks"] == ([1, None, 2], ["PRESENT", "NOT_FOUND", "PRESENT"])
        assert columns["rate"] == ([0.5, None, None], ["PRESENT", "NOT_FOUND", "PRESENT"])
        assert columns["seen"][0] == [[7], None, [8, 9]]
        push = {
            "push_source_name": "stats_push",
            "df": {
                "user_id": ["new"],
                "clicks": [3],
                "rate": [0.25],
                "seen": [[1]],
                "event_timestamp": ["2026-03-02 00:00:00"],
            },
            "to": "online",
        }
        post(f"{address}/push", push)
        assert columns_of(post(f"{address}/get-online-features", ask))["clicks"][0] == [1, 3, 2]


def columns_of(answer: dict[str, Any]) -> dict[str, tuple[list[Any], list[str]]]:
    """Values and statuses by feature."""
    names, results = answer["metadata"]["feature_names"], answer["results"]
    return {
        name: (result["values"], result["statuses"])
        for name, result in zip(names, results, strict=True)
    }


def test_the_ui_shows_the_project(repo: Repo) -> None:
    with feast(repo, "ui", ready="/projects-list.json") as address:
        assert repo.project in get(f"{address}/projects-list.json").decode()
        views = get(f"{address}/api/v1/feature_views?project={repo.project}")
        assert b"stats" in views
