"""What `headrace up` does when something that it started dies, hangs or stays away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headrace.errors import ServiceError
from headrace.up.supervision.health import Health
from headrace.up.supervision.restarts import MAX_RESTARTS, WINDOW_S, Restarts
from headrace.up.supervision.supervisor import Supervisor, Surroundings
from headrace.up.supervision.symptoms import AFTER_START_S, PATIENCE_S, SILENT_S, Symptoms

GIB = 1 << 30
told: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_told() -> None:
    told.clear()


class Toy:
    """A process of the tree that dies when it is told to."""

    loss = ""
    carries_parts = False
    log_path = Path("toy.log")

    def __init__(self, name: str, **more: Any) -> None:
        self.name, self.restarts, self.is_running = name, Restarts(), True
        self.pid, self.ending, self.refusal, self.fails = 1, "exit code -9", "", False
        for field, value in more.items():
            setattr(self, field, value)

    def start(self) -> None:
        told.append(f"start {self.name}")
        if self.fails:
            raise ServiceError("no")
        self.is_running = True

    def stop(self, grace_s: float = 0.0) -> None:
        told.append(f"stop {self.name}")
        self.is_running = False

    def ask_to_stop(self) -> None:
        pass


class Disk:
    free = GIB

    def __call__(self, home: Path) -> int:
        return self.free


class Tree:
    """Servers and parts under a supervisor."""

    def __init__(self) -> None:
        self.redis, self.broker = Toy("redis"), Toy("broker")
        self.ray = Toy("ray", carries_parts=True)
        self.parts = [Toy(name) for name in ("stream", "train", "serve")]
        self.disk, self.said = Disk(), list[str]()
        around = Surroundings(Path("home"), self.disk, self.said.append)
        self.supervisor = Supervisor([self.redis, self.broker, self.ray], self.parts, around)
        self.supervisor.is_started = True


@pytest.fixture
def tree() -> Tree:
    return Tree()


def test_what_lives_is_left_alone(tree: Tree) -> None:
    assert not tree.supervisor.look(0.0)
    assert not told and not tree.said


def test_redis_comes_before_the_parts_that_died_without_it(tree: Tree) -> None:
    tree.redis.is_running = tree.parts[0].is_running = False
    assert tree.supervisor.look(0.0) and told == ["start redis"]
    assert tree.supervisor.look(0.5) and told == ["start redis", "start stream"]
    assert tree.said == [
        "redis ended by itself (exit code -9)",
        "redis was started again",
        "stream ended by itself (exit code -9)",
        "stream was started again",
    ]


def test_when_ray_dies_its_drivers_end_then_ray_starts_then_they_do(tree: Tree) -> None:
    tree.ray.is_running = False
    assert tree.supervisor.look(0.0)
    parts = ("stream", "train", "serve")
    assert told == [*(f"stop {p}" for p in parts), "start ray", *(f"start {p}" for p in parts)]
    assert tree.said[-1] == "ray was started again, and on it stream, train, serve"


def test_a_broker_that_kept_its_log_in_memory_ends_the_run_with_the_truth(tree: Tree) -> None:
    tree.broker.is_running, tree.broker.loss = False, "the log is gone"
    with pytest.raises(ServiceError, match="^the log is gone$"):
        tree.supervisor.look(0.0)
    assert not told


def test_restarts_are_slower_and_slower_and_have_a_bound(tree: Tree) -> None:
    part, times, now_s = tree.parts[1], list[float](), 0.0
    with pytest.raises(ServiceError) as caught:
        while now_s < WINDOW_S:
            part.is_running = False
            if tree.supervisor.look(now_s):
                times.append(now_s)
            now_s += 0.5
    assert len(times) == MAX_RESTARTS
    pauses_s = [later - time for time, later in zip(times, times[1:], strict=False)]
    assert pauses_s == [1.5, 2.5, 4.5, 8.5]  # half a second until it dies, then 1, 2, 4, 8
    said = "train ended 6 times, the last ones within 10 minutes (exit code -9); see toy.log"
    assert str(caught.value) == said
    assert tree.said.count("train ended by itself (exit code -9)") == MAX_RESTARTS + 1


def test_deaths_that_lie_far_apart_do_not_add_up(tree: Tree) -> None:
    for number in range(3 * MAX_RESTARTS):
        tree.parts[0].is_running = False
        tree.supervisor.look(number * WINDOW_S / 2)
        tree.supervisor.look(number * WINDOW_S / 2 + 5)
        assert tree.parts[0].is_running


def test_a_server_that_does_not_come_back_is_tried_again(tree: Tree) -> None:
    tree.redis.is_running, tree.redis.fails = False, True
    assert tree.supervisor.look(0.0)
    assert tree.said[-1] == "redis could not be started again: no"
    tree.redis.fails = False
    assert not tree.supervisor.look(0.5)
    assert tree.supervisor.look(2.0) and tree.said[-1] == "redis was started again"


def test_on_a_full_disk_nothing_is_started_again_and_the_cause_is_said_at_once(tree: Tree) -> None:
    tree.parts[1].is_running, tree.disk.free = False, 1 << 20
    for now_s in range(300):
        assert not tree.supervisor.look(float(now_s))
    assert tree.said == [
        "the disk of HEADRACE_HOME='home' is full, 1.0 MB are left: free some space, or name "
        "another home",
        "train ended by itself (exit code -9)",
    ]
    tree.disk.free = GIB
    assert tree.supervisor.look(300.0)
    assert tree.said[2:] == ["the disk has space again", "train was started again"]


def test_what_a_part_was_asked_for_wrongly_ends_the_start(tree: Tree) -> None:
    tree.supervisor.is_started = False
    tree.parts[2].is_running, tree.parts[2].refusal = False, "Redis does not answer"
    with pytest.raises(ServiceError, match="^Redis does not answer$"):
        tree.supervisor.look(0.0)


def test_later_it_does_not_a_part_may_have_met_a_redis_that_was_away(tree: Tree) -> None:
    tree.parts[2].is_running, tree.parts[2].refusal = False, "Redis does not answer"
    assert tree.supervisor.look(0.0)


class Api:
    """HTTP as a probe meets it."""

    said = ""

    def __call__(self) -> Health:
        return Health(self.said)


def test_http_that_stays_away_is_said_and_serving_is_started_again() -> None:
    api, said = Api(), list[str]()
    symptoms = Symptoms(said.append, api)
    assert symptoms.http_is_lost(0.0) == ""
    api.said = "no answer on port 8000"
    lost = [now_s for now_s in range(10, 100) if symptoms.http_is_lost(float(now_s))]
    assert lost[0] == 10 + PATIENCE_S
    assert said == ["http: no answer on port 8000"]
    symptoms.forget()
    assert not any(symptoms.http_is_lost(200.0 + now_s) for now_s in range(int(AFTER_START_S)))
    api.said = ""
    assert symptoms.http_is_lost(400.0) == "" and said[1:] == ["http: well again"]


def test_an_answer_that_comes_back_in_time_is_no_loss() -> None:
    api, said = Api(), list[str]()
    symptoms = Symptoms(said.append, api)
    for now_s in range(1_000):
        api.said = "no answer" if now_s % 20 < 10 else ""
        assert symptoms.http_is_lost(float(now_s)) == ""


def test_a_part_that_runs_and_reports_nothing_is_said_until_it_reports() -> None:
    said: list[str] = []
    symptoms = Symptoms(said.append, Api())
    for now_s, reported_ms in ((0.0, 1), (1.0, 2), (SILENT_S, 2)):
        symptoms.see_report("stream", reported_ms, now_s)
    assert not said
    symptoms.see_report("stream", 2, SILENT_S + 1)
    symptoms.see_report("stream", 2, SILENT_S + 2)
    assert said == [f"stream: runs and has reported nothing for {SILENT_S:.0f} s"]
    symptoms.see_report("stream", 3, SILENT_S + 3)
    assert said[1:] == ["stream: well again"] and not list(symptoms.lines())


def test_a_part_that_was_started_again_has_its_time_to_start() -> None:
    said: list[str] = []
    symptoms = Symptoms(said.append, Api())
    symptoms.see_report("stream", 1, 0.0)
    symptoms.see_report("stream", 2, 1.0)
    symptoms.forget()
    symptoms.see_report("stream", 2, 2.0)
    symptoms.see_report("stream", 2, 2.0 + AFTER_START_S - 1)
    assert not said
    symptoms.see_report("stream", 2, 2.0 + AFTER_START_S)
    assert said


def test_while_redis_is_away_no_part_is_blamed() -> None:
    said: list[str] = []
    symptoms = Symptoms(said.append, Api())
    symptoms.see_report("train", 1, 0.0)
    symptoms.see_redis("does not answer")
    symptoms.see_redis("does not answer")
    symptoms.see_redis("")
    symptoms.see_report("train", 1, 10 * SILENT_S)
    assert said == ["redis: does not answer", "redis: well again"]
