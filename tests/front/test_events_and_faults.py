"""202 means in the log, whatever the broker does, and slates do not feel it."""

from __future__ import annotations

import time
from collections import Counter
from functools import partial

import pytest
from stand import DEADLINE_S, Reply, Stand, ask, click, paused, together, wait_for

from headrace.event import ImpressionEvent
from serving.posted.events import MAX_EVENTS

pytestmark = pytest.mark.services

RECOVERED_S = 10.0  # a producer is tried within 0.3 s, and found or given up within 2 s
SLATE_S = 1.0


def logged_ids(stand: Stand) -> Counter[str]:
    return Counter(event.event_id for event in stand.logged())


def impressions(stand: Stand) -> Counter[str]:
    return Counter(e.request_id for e in stand.logged() if isinstance(e, ImpressionEvent))


def taken(stand: Stand) -> bool:
    return stand.post(click("again")).status == 202


def slates_well(stand: Stand) -> bool:
    return stand.slate(record=False).document["degraded"] == ["no_model"]


def test_202_means_in_the_log_and_503_in_time(on_each_broker: Stand) -> None:
    stand = on_each_broker
    assert taken(stand)
    with paused(stand.broker.process):
        posts = [partial(stand.post, click(f"stall-{n}", f"u{n}")) for n in range(12)]
        replies = together(posts)
        assert {reply.status for reply in replies} == {503}
        assert max(reply.took_s for reply in replies) < DEADLINE_S + 1
        assert all(reply.headers["retry-after"] == "1" for reply in replies)
        assert sorted(reply.document["event_ids"][0] for reply in replies) == sorted(
            f"stall-{n}" for n in range(12)
        )
        again = stand.post(click("stall-0"))  # known to be away: refused at once
        assert again.status == 503 and again.took_s < 0.5
    assert wait_for("events", lambda: taken(stand)) < RECOVERED_S
    retried = [stand.post(click(f"stall-{n}", f"u{n}")) for n in range(12)]
    assert [reply.status for reply in retried] == [202] * 12
    ids = logged_ids(stand)
    assert all(ids[f"stall-{n}"] >= 1 for n in range(12))


@pytest.mark.parametrize("silent_s", [3.0, 9.0])
def test_slates_do_not_feel_a_silent_broker_and_their_impressions_arrive_once(
    on_each_broker: Stand, silent_s: float
) -> None:
    stand = on_each_broker
    replies: list[Reply] = []
    with paused(stand.broker.process):
        began_s = time.monotonic()
        while time.monotonic() - began_s < silent_s:
            replies.append(stand.slate())
            time.sleep(0.1)
    assert {reply.status for reply in replies} == {200}
    assert max(reply.took_s for reply in replies) < SLATE_S
    assert "no_log" in replies[-1].document["degraded"]
    assert wait_for("events", lambda: taken(stand)) < RECOVERED_S
    wait_for("the mark to go", lambda: slates_well(stand))
    asked = [reply.document["request_id"] for reply in replies]
    wait_for("the impressions", lambda: impressions(stand).keys() >= set(asked))
    spool = stand.settings.spool_path
    wait_for("an empty spool", lambda: not list(spool.glob("*.spool")))
    copies = Counter(e.event_id for e in stand.logged() if e.event_id in set(asked))
    assert set(copies) == set(asked)  # copies there may be: of one id, which counts once


def test_events_are_taken_again_after_the_broker_was_killed(on_each_broker: Stand) -> None:
    stand = on_each_broker
    if stand.broker.kind != "apache-kafka":
        pytest.skip("its log is in memory: a killed one is another log")
    stand.restart_broker()
    assert wait_for("events", lambda: taken(stand)) < RECOVERED_S
    assert wait_for("slates", lambda: slates_well(stand)) < RECOVERED_S
    wait_for("no error", lambda: not ask(stand.port, "/healthz").document["error"])


def test_a_body_is_taken_whole_or_not_at_all(on_each_broker: Stand) -> None:
    stand = on_each_broker
    good = [click(f"whole-{n}") for n in range(5)]
    for bad in ({"surface": "s" * 1_100_000}, {"item_id": ""}, {"type": "look"}):
        reply = stand.post([*good, click("bad") | bad])
        assert reply.status == 422 and reply.document["field"].startswith("[5]")
    assert stand.post([click(f"all-{n}") for n in range(MAX_EVENTS)]).status == 202
    ids = logged_ids(stand)
    assert not [event_id for event_id in ids if event_id.startswith(("whole-", "bad"))]
    assert sum(event_id.startswith("all-") for event_id in ids) == MAX_EVENTS
