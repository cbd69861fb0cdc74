"""More than a replica can do is refused at once, by route, and over when it is over."""

from __future__ import annotations

import threading
import time
from functools import partial

import pytest
from stand import Reply, Stand, ask, click, paused, together, wait_for

pytestmark = pytest.mark.services

NUM_CLIENTS = 64


def load(stand: Stand, path: str, document: object, seconds: float) -> list[Reply]:
    """What clients get who ask again as soon as they are answered."""
    replies: list[Reply] = []
    until_s = time.monotonic() + seconds

    def client() -> None:
        while time.monotonic() < until_s:
            replies.append(ask(stand.port, path, document))

    threads = [threading.Thread(target=client) for _ in range(NUM_CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return replies


def test_slates_beyond_the_places_are_refused_at_once(replica: Stand) -> None:
    asked = {"user_id": "u1", "record": False}
    replies = load(replica, "/v1/recommend", asked, 3)
    by_status = {status: [r for r in replies if r.status == status] for status in (200, 503)}
    assert len(by_status[200]) + len(by_status[503]) == len(replies)
    assert by_status[503], "64 clients fit into 8 places"
    assert all(reply.headers["retry-after"] == "1" for reply in by_status[503])
    waited = sorted(reply.took_s for reply in by_status[200])
    assert waited[int(0.99 * len(waited))] < 3
    assert wait_for("an idle replica", lambda: replica.slate().status == 200) < 5


def test_events_that_wait_for_the_broker_take_no_place_of_slates(replica: Stand) -> None:
    with paused(replica.broker.process):
        posts = [partial(replica.post, [click(f"{n}-{m}") for m in range(100)]) for n in range(40)]
        slates = [partial(replica.slate, record=False) for _ in range(6)]
        replies = together([*posts, *slates])
    assert {reply.status for reply in replies[:40]} == {503}
    assert {reply.status for reply in replies[40:]} == {200}
    assert max(reply.took_s for reply in replies[40:]) < 3
    refused = [r for r in replies[:40] if "at most 2000 may" in r.document["error"]]
    assert refused and max(reply.took_s for reply in refused) < 4
    wait_for("events", lambda: replica.post(click("after")).status == 202)


def test_slates_leave_events_their_places(replica: Stand) -> None:
    stop = threading.Event()
    events: list[Reply] = []

    def client() -> None:
        while not stop.is_set():
            events.append(replica.post(click(f"beside-{len(events)}")))
            time.sleep(0.05)

    thread = threading.Thread(target=client)
    thread.start()
    load(replica, "/v1/recommend", {"user_id": "u1", "record": False}, 3)
    stop.set()
    thread.join()
    assert {reply.status for reply in events} == {202}
