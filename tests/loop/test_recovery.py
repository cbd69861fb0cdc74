"""A running `headrace up` loses Redis, HAProxy, Ray and its terminal.

The tests run in order, on the platform that the README's commands were tried on.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from redis import Redis
from second_terminal import Terminal

from headrace.api.front import Front
from headrace.positions.store import CommitStore
from headrace.services.ports import free_port
from headrace.services.processes.owner import MARK
from headrace.up.supervision.health import probe

pytestmark = [pytest.mark.loop, pytest.mark.services, pytest.mark.ray]

AGAIN_S = 120.0  # Ray, three drivers and their imports, on two cores


def num_accepted(terminal: Terminal) -> int:
    settings = terminal.settings
    with Redis.from_url(settings.redis_url) as redis:
        commits = CommitStore(redis, settings.namespace).read_all().values()
    return sum(commit.accepted for commit in commits)


def click(terminal: Terminal) -> int:
    return terminal.platform.post(
        "/v1/events", {"type": "click", "user_id": "196", "item_id": "288"}
    )[0]


def wait_for(terminal: Terminal, what: str, done: Callable[[], bool], timeout_s: float) -> None:
    terminal.platform.wait_for(what, done, timeout_s)


def is_healthy(terminal: Terminal) -> bool:
    return terminal.run("headrace status").returncode == 0


def takes_a_click(terminal: Terminal) -> bool:
    """Whether an event is answered, and then counted exactly once."""
    before = num_accepted(terminal)
    try:
        if click(terminal) != 202:
            return False
    except (OSError, ValueError):  # HAProxy's own answers are no JSON
        return False
    wait_for(terminal, "the click", lambda: num_accepted(terminal) > before, 30)
    return num_accepted(terminal) == before + 1


def test_a_second_run_with_the_same_port_or_home_is_one_line(terminal: Terminal) -> None:
    (terminal.folder / "file").write_text("no folder")
    port = terminal.platform.port
    for exports, taken, said in (
        ("", port, f"port {port} on 127.0.0.1 is taken"),
        (f"export HEADRACE_HOME={terminal.folder / 'file'}", free_port(), "cannot be written"),
    ):
        done = terminal.run(f"headrace up --data=shop --port={taken}", exports)
        assert done.returncode == 2 and done.stderr.count("\n") == 1 and said in done.stderr


def test_a_redis_that_is_killed_comes_back_with_everything(terminal: Terminal) -> None:
    before = num_accepted(terminal)
    killed = terminal.platform.kill("redis-server")
    wait_for(terminal, "Redis", lambda: "redis was started again" in terminal.platform.log, 20)
    assert "redis ended by itself (exit code -9)" in terminal.platform.log
    assert num_accepted(terminal) == before
    wait_for(terminal, "a click", lambda: takes_a_click(terminal), 60)
    (redis,) = [part for part in terminal.run_file.parts if part.name == "redis"]
    assert redis.is_running and redis.pid != killed and redis.restarts == 1
    wait_for(terminal, "health", lambda: is_healthy(terminal), 60)


def test_an_haproxy_that_is_killed_is_missed_and_comes_back(terminal: Terminal) -> None:
    settings = terminal.settings
    terminal.platform.kill("haproxy.cfg")

    def answers() -> bool:
        return probe(Front(settings.http), settings.namespace).is_ok

    wait_for(terminal, "HTTP", answers, AGAIN_S)
    wait_for(terminal, "a click", lambda: takes_a_click(terminal), 60)


def test_a_ray_that_is_killed_comes_back_with_all_parts_and_the_same_totals(
    terminal: Terminal,
) -> None:
    before, address = num_accepted(terminal), terminal.run_file.ray_address
    terminal.platform.kill("raylet/raylet")
    line = "ray was started again, and on it stream, train, serve"
    wait_for(terminal, "Ray", lambda: line in terminal.platform.log, AGAIN_S)
    assert num_accepted(terminal) == before
    wait_for(terminal, "a click", lambda: takes_a_click(terminal), AGAIN_S)
    assert terminal.run_file.ray_address not in ("", address)
    wait_for(terminal, "health", lambda: is_healthy(terminal), AGAIN_S)


def test_status_tells_it_all_to_people_and_programs(terminal: Terminal) -> None:
    document: dict[str, Any] = json.loads(terminal.run("headrace status --json").stdout)
    assert document["healthy"] and not document["problems"]
    names = {part["name"]: part for part in document["parts"]}
    assert set(names) == {"redis", "broker", "ray", "stream", "train", "serve"}
    assert names["ray"]["restarts"] == 1 and names["stream"]["report_age_ms"] < 5_000
    assert document["versions"]["served"] > 0 and document["lags"]["stream_events"] == 0
    shown = terminal.run("headrace status").stdout
    password = terminal.settings.redis_url.split("@")[0].rpartition(":")[2]
    for said in (shown, json.dumps(document), terminal.platform.log):
        assert password not in said
    assert "redis://***@127.0.0.1:" in shown and ": healthy" in shown


def test_a_terminal_that_closes_ends_everything_and_nothing_is_left(terminal: Terminal) -> None:
    run = terminal.run_file
    folders = [Path(path) for path in (run.settings.home, *sockets_of(terminal))]
    assert len(folders) == 2 and all(folder.is_dir() for folder in folders)
    assert all(folder.stat().st_mode & 0o077 == 0 for folder in folders)
    assert terminal.platform.hang_up() == 0
    _, left = psutil.wait_procs(list(terminal.platform.seen), timeout=10)
    assert not left
    assert not any(folder.exists() for folder in folders)
    assert not list((terminal.folder / "headrace").iterdir())
    time.sleep(0.5)
    assert not marked(str(run.owner))


def sockets_of(terminal: Terminal) -> set[str]:
    """The folders of the sockets of the platform's processes."""
    words: set[str] = set()
    for process in terminal.platform.processes():
        with suppress(psutil.Error):
            words |= {word for word in process.cmdline() if word.endswith("haproxy.cfg")}
    return {str(Path(word).parent) for word in words}


def marked(owner: str) -> list[int]:
    """The processes that name this owner."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == owner:
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found
