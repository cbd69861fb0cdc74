"""Dockerfile: what it is built from, who runs it, and that its health check asks what answers."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from headrace.config import Settings

ROOT = Path(__file__).resolve().parents[1]
LOCK = "constraints.txt"


@pytest.fixture(scope="module")
def steps() -> list[tuple[str, str]]:
    """Each instruction of the file and what follows it."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\s*\\\n\s*", " ", text).splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines) if word]


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def last(steps: list[tuple[str, str]], instruction: str) -> str:
    return next(rest for word, rest in reversed(steps) if word == instruction)


def test_it_is_built_in_one_stage_and_run_in_another_of_one_python(
    steps: list[tuple[str, str]],
) -> None:
    images = [rest.split() for word, rest in steps if word == "FROM"]
    assert [image[1:] for image in images] == [["AS", "build"], []]
    (python,) = {image[0] for image in images}
    cluster = yaml.safe_load((ROOT / "cluster.yaml").read_text())["docker"]["image"]
    found = re.fullmatch(r"python:(\d+)\.(\d+)-slim-\w+", python)
    assert found and f"-py{found[1]}{found[2]}-" in cluster


def test_it_runs_as_a_user_of_its_own_what_the_wheel_installs(
    steps: list[tuple[str, str]], project: dict[str, Any]
) -> None:
    words = [word for word, _ in steps]
    final = words[len(words) - words[::-1].index("FROM") :]
    assert final.index("USER") < final.index("ENTRYPOINT")
    user = last(steps, "USER")
    assert user != "0" and f"useradd --uid {user} --create-home --home-dir" in str(steps)
    (program,) = json.loads(last(steps, "ENTRYPOINT"))
    assert program in project["project"]["scripts"]
    assert last(steps, "EXPOSE") == str(Settings().http.port)


def test_the_build_sees_what_the_wheel_is_made_of_and_nothing_else(
    steps: list[tuple[str, str]], project: dict[str, Any]
) -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    lines = [line for line in lines if line and not line.startswith("#")]
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    tops = {path.split("/")[0] for path in included}
    assert lines[0] == "*" and lines[-1] == "**/__pycache__"
    seen = {line.removeprefix("!") for line in lines[1:-1]}
    assert seen == {"pyproject.toml", LOCK, project["project"]["readme"], "LICENSE", *tops}
    assert all(line.startswith("!") and (ROOT / line[1:]).exists() for line in lines[1:-1])
    installs = [rest for word, rest in steps if word == "RUN" and "pip" in rest]
    assert [shlex.split(rest)[-3:] for rest in installs] == [["--constraint", LOCK, "."]]


@contextmanager
def answering(status: int) -> Iterator[int]:
    """The port of a server that answers `/livez` with this status, and nothing else."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/livez" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(("status", "is_healthy"), [(200, True), (503, False)])
def test_the_health_check_fails_unless_the_api_is_alive(
    steps: list[tuple[str, str]], status: int, is_healthy: bool
) -> None:
    command = json.loads(last(steps, "HEALTHCHECK").partition(" CMD ")[2])
    assert command[:2] == ["python", "-c"]
    with answering(status) as port:
        environ = {"HEADRACE_PORT": str(port)}
        done = subprocess.run([sys.executable, *command[1:]], env=environ, capture_output=True)
    assert (done.returncode == 0) is is_healthy
