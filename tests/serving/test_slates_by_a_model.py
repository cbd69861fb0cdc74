"""A replica with a model over HTTP: when it is ready, and when its answers are marked."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from headrace import config
from headrace.services.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tests" / "front" / "one_replica.py"
NEVER_S = 1e9

pytestmark = pytest.mark.services


@contextmanager
def replica(settings: config.Settings, **changes: object) -> Iterator[int]:
    """The port of a replica of these settings."""
    changed, port = config.changed(settings, **changes), free_port()
    environ = {**os.environ, **config.environment(changed), "OMP_NUM_THREADS": "1"}
    environ["PYTHONPATH"] = f"{ROOT / 'platform'}:{ROOT}"
    with subprocess.Popen([sys.executable, str(SCRIPT), str(port)], env=environ) as process:
        try:
            yield port
        finally:
            process.kill()


def ask(port: int, path: str, document: object = None) -> tuple[int, Any]:
    body = None if document is None else json.dumps(document).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def states_of_readiness(port: int) -> list[int]:
    """The statuses of `/readyz` until it is 200."""
    statuses = []
    deadline_s = time.monotonic() + 60
    while not statuses or statuses[-1] != 200:
        assert time.monotonic() < deadline_s, statuses
        with contextlib.suppress(OSError):
            statuses.append(ask(port, "/readyz")[0])
        time.sleep(0.01)
    return statuses


def test_it_begins_with_the_published_model_and_a_slate_by_an_old_one_is_marked(
    settings: config.Settings,
) -> None:
    with replica(settings) as port:  # the model is of 2024
        assert set(states_of_readiness(port)) == {200}
        status, slate = ask(port, "/v1/recommend", {"user_id": "new", "record": False})
        assert status == 200 and slate["model_version"] > 0
        assert slate["degraded"] == ["stale_model"]
        asked = {"user_id": "new", "record": False, "model_version": slate["model_version"]}
        assert ask(port, "/v1/recommend", asked)[0] == 200
        status, problem = ask(port, "/v1/recommend", {**asked, "model_version": 99})
        assert status == 422 and problem["field"] == "model_version"


def test_a_slate_by_a_model_that_counts_as_new_is_not_marked(settings: config.Settings) -> None:
    with replica(settings, stale_model_s=NEVER_S) as port:
        states_of_readiness(port)
        _, slate = ask(port, "/v1/recommend", {"user_id": "new", "record": False})
        assert slate["degraded"] == []
