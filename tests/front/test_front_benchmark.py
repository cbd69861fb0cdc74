"""The pure parts of `python -m benchmarks front`, and its load on a small server."""

from __future__ import annotations

import math
import random
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from benchmarks.front import overload, requests
from benchmarks.front.answers import (
    Answer,
    Deadline,
    between,
    lost,
    outage_s,
    quantile,
    recovery_s,
    share_good,
)
from benchmarks.front.generator import Plan
from benchmarks.front.load import Load
from benchmarks.front.lost import compared

GOOD = Deadline(1.0)


def answer(due_s: float, took_s: float = 0.1, status: int = 200, valid: bool = True) -> Answer:
    return Answer(int(due_s * 10), due_s, took_s, status, valid)


def test_a_quantile_is_a_value_that_was_measured() -> None:
    values = [float(number) for number in range(1, 101)]
    random.Random(0).shuffle(values)
    assert [quantile(values, share) for share in (0.5, 0.99, 1.0)] == [50, 99, 100]
    assert quantile([7.0], 0.5) == quantile([7.0], 0.99) == 7
    assert math.isnan(quantile([], 0.5))


def test_good_is_in_time_and_a_success_and_valid() -> None:
    answers = [
        answer(0),
        answer(1, took_s=1.5),
        answer(2, status=503),
        answer(3, valid=False),
    ]
    assert share_good(answers, GOOD) == 0.25
    assert share_good(answers, Deadline(2.0)) == 0.5
    assert math.isnan(share_good([], GOOD))


def test_an_outage_ends_with_the_first_good_answer_that_lasts() -> None:
    flapping = [answer(n, status=200 if n in (0, 1, 4, 7, 8) else 0) for n in range(9)]
    assert outage_s(flapping, GOOD) == 5  # from 2 to 7
    assert outage_s(flapping[:2], GOOD) == 0
    assert outage_s(flapping[:4], GOOD) == 1  # never good again: up to the last one


def test_recovery_ends_with_three_seconds_that_are_as_usual() -> None:
    slow = [answer(10 + n / 10, took_s=0.1 if n >= 20 else 0.4) for n in range(60)]
    assert recovery_s(slow, 10, 0.1, GOOD) == 2
    assert recovery_s(slow, 12, 0.1, GOOD) == 0
    assert recovery_s([*slow, answer(15.5, status=503)], 10, 0.1, GOOD) == 2
    assert recovery_s([*slow, answer(14.5, status=503)], 10, 0.1, GOOD) == 6


def test_what_was_due_counts_in_the_order_in_which_it_was() -> None:
    assert between([answer(3), answer(1), answer(2)], 1, 3) == [answer(1), answer(2)]


def test_events_with_202_are_compared_with_the_log_by_their_ids() -> None:
    assert lost(["a", "b", "a"], ["b", "c"]) == ["a"]
    posts = [answer(0, status=202), answer(0.1, status=202), answer(0.2, status=503)]
    ids = {f"load-{post}-{place}" for post in range(3) for place in range(5)}
    found = compared(posts, "load", ids - {"load-1-4"} | {"another"})
    assert found == {
        "lost_202": 1,
        "num_202": 10,
        "logged_without_202": 5,
        "posts_by_status": {"202": 2, "503": 1},
    }


def test_overload_is_measured_against_the_peak_and_the_usual() -> None:
    usual = [answer(n / 10, took_s=0.1) for n in range(100)]
    over = [answer(n / 20, 0.25 if n % 2 else 0.01, 200 if n % 2 else 503) for n in range(200)]
    found = overload.compared(usual, over, peak=12.5, seconds=10)
    assert found["goodput_at_2x"] == 0.8
    assert found["p99_over_p50_at_70"] == found["p99_over_p99_at_70"] == 2.5
    assert found["p99_of_refused_ms"] == 10
    assert overload.by_second(over[:30], 0) == [10, 10]


def test_requests_nobody_sane_sends_are_drawn_again_by_their_seed() -> None:
    drawn = [requests.fuzzed(random.Random(seed)) for seed in range(300)]
    assert [path for path, _ in drawn] == [
        requests.fuzzed(random.Random(seed))[0] for seed in range(300)
    ]
    assert {path for path, _ in drawn} == set(requests.PATHS)
    sizes = [sum(map(len, requests.huge(random.Random(seed))[1])) for seed in range(20)]
    assert min(sizes) > 0.9 * requests.MAX_BODY and max(sizes) > 2 * requests.MAX_BODY
    order = list(requests.in_order(random.Random(0), {"fuzzed": 5, "huge": 2}))
    assert Counter(order) == {"fuzzed": 5, "huge": 2} and order != sorted(order)


class Slates(BaseHTTPRequestHandler):
    """Slates of ten items; every fourth one is of another platform, every fifth is refused."""

    protocol_version = "HTTP/1.1"
    asked = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        Slates.asked += 1
        name = "theirs" if Slates.asked % 4 == 0 else "ours"
        items = [{"item_id": f"{name}-{number}"} for number in range(10)]
        document = {"items": items, "model_version": 1, "degraded": ["no_log"]}
        if Slates.asked % 5 == 0:
            document = {"error": "busy"}
        body = msgspec.json.encode(document)
        self.send_response(503 if Slates.asked % 5 == 0 else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Slates) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("num_clients", [0, 2])
def test_a_load_tells_good_refused_and_foreign_answers(
    tmp_path: Path, port: int, num_clients: int
) -> None:
    Slates.asked = 0
    items = tuple(f"ours-{number}" for number in range(10))
    file = str(tmp_path / "answers")
    plan = Plan(port, "slates", 100, 1, file, ("u",), items, num_clients=num_clients)
    with Load(plan) as load:
        answers = load.finish()
    assert len(answers) == Slates.asked > 40
    notes = Counter(one.note for one in answers)
    assert notes == Counter(
        "busy" if n % 5 == 0 else "foreign" if n % 4 == 0 else "no_log"
        for n in range(1, Slates.asked + 1)
    )
    assert all(one.is_valid == (one.note == "no_log") for one in answers)
    assert share_good(answers, GOOD) == pytest.approx(notes["no_log"] / len(answers))


def test_a_load_notes_requests_that_nobody_answers(tmp_path: Path) -> None:
    plan = Plan(1, "events", 50, 0.5, str(tmp_path / "answers"), ("u",), ("i",))
    with Load(plan) as load:
        answers = load.finish()
    assert answers and {one.status for one in answers} == {0}
    assert {one.note for one in answers} == {"ConnectionRefusedError"}
