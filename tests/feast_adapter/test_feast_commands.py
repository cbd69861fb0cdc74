"""Feast's own commands and API on headrace's repository, as a reader of the README types them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.services.ports import free_port
from headrace.services.redis import start_redis

pytestmark = pytest.mark.services

ROOT = Path(__file__).resolve().parents[2]
SERVER_S = 90.0
FAR = "2100-01-01T00:00:00"
TITLE = {"features": ["item_content:title"], "entities": {"item_id": ["1", "no such film"]}}
PUSH = """
import json
import pandas as pd
from feast import FeatureStore

store = FeatureStore("feature_repo")
view = store.get_feature_view("user_activity")
names = [field.name for field in view.features if field.name != "state"]
row = {"user_id": ["1"], **{name: [0.25] for name in names}, "state": [b""]}
row["event_timestamp"] = [pd.Timestamp.now("UTC")]
store.push("user_activity_push", pd.DataFrame(row))
features = ["user_activity:user_click_rate", "user_profile:attributes"]
print(json.dumps(store.get_online_features(features, [{"user_id": "1"}]).to_dict()))
"""


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """MovieLens materialized, in a namespace of its own."""
    folder = tmp_path_factory.mktemp("feast")
    with start_redis(folder / "redis") as redis:
        environ = {
            **{name: text for name, text in os.environ.items() if not name.startswith("HEADRACE_")},
            "HEADRACE_HOME": str(folder / "home"),
            "HEADRACE_NAMESPACE": "tour",
            "REDIS_URL": redis.url,
            "PYTHONPATH": f"{ROOT / 'platform'}",
        }
        headrace(environ, "materialize")
        yield environ


def headrace(environ: dict[str, str], *arguments: str) -> str:
    return run(environ, "-m", "headrace.cli", *arguments)


def run(environ: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, f"{arguments}: {done.stdout[-3_000:]}{done.stderr[-3_000:]}"
    return done.stdout


def test_feast_lists_the_views_and_finds_nothing_to_apply(environ: dict[str, str]) -> None:
    assert "item_activity" in headrace(environ, "feast", "feature-views", "list")
    assert "No changes to infrastructure" in headrace(environ, "feast", "plan")


@pytest.mark.parametrize("command", [["materialize", "2000-01-01T00:00:00"],
                                     ["materialize-incremental"]])  # fmt: skip
def test_feast_materializes_all_views(environ: dict[str, str], command: list[str]) -> None:
    headrace(environ, "feast", *command, FAR)


def test_a_row_is_pushed_and_read(environ: dict[str, str]) -> None:
    answer = json.loads(run(environ, "-c", PUSH).splitlines()[-1])
    assert answer["user_click_rate"] == [0.25]
    assert "occupation=technician" in answer["attributes"][0]


def test_the_feature_server_answers(environ: dict[str, str], tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "headrace.cli", "feast", "serve", "--port", str(port)]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(command, env=environ, cwd=ROOT, stdout=log, stderr=log)
    try:
        title, missing = asked(f"http://127.0.0.1:{port}/get-online-features")
        assert title == "Toy Story" and missing is None
    finally:
        server.terminate()
        server.wait()


def asked(url: str) -> Any:
    """The titles in the server's answer, once there is one."""
    content, deadline = json.dumps(TITLE).encode(), time.monotonic() + SERVER_S
    request = urllib.request.Request(url, content, {"Content-Type": "application/json"})
    while True:
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                document = json.loads(answer.read())
                return document["results"][document["metadata"]["feature_names"].index("title")][
                    "values"
                ]
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
