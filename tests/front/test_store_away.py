"""Redis away, hung or started anew: every slate is answered in time, and says what it lacks."""

from __future__ import annotations

import time

import pytest
from stand import Reply, Stand, ask, click, paused, wait_for

pytestmark = pytest.mark.services

SLATE_S = 1.5
AGAIN_S = 6.0  # a probe every quarter of a second, on a machine that does other work too


def is_well(stand: Stand) -> bool:
    return stand.slate(record=False).document["degraded"] == ["no_model"]


def asked_for(stand: Stand, seconds: float) -> list[Reply]:
    """Slates and ads, asked for one after the other."""
    replies = []
    began_s = time.monotonic()
    while time.monotonic() - began_s < seconds:
        replies.append(stand.slate(record=False))
        replies.append(ask(stand.port, "/v1/ads", {"user_id": "u1"}))
        time.sleep(0.1)
    return replies


def check(replies: list[Reply]) -> None:
    assert {reply.status for reply in replies} == {200}
    assert max(reply.took_s for reply in replies) < SLATE_S
    assert all("no_features" in reply.document["degraded"] for reply in replies)
    late = [reply.took_s for reply in replies[6:]]  # it is known by now, and not waited for
    assert sorted(late)[len(late) // 2] < 0.2


def test_a_redis_that_hangs_costs_features_and_no_time(replica: Stand) -> None:
    wait_for("the store", lambda: is_well(replica))
    with paused(replica.redis.process):
        check(asked_for(replica, 3.0))
        assert replica.post(click("while-away")).status == 202
        ready = ask(replica.port, "/readyz")
        assert ready.document["store"] != "ok"
    assert wait_for("the store", lambda: is_well(replica)) < AGAIN_S
    assert ask(replica.port, "/readyz").document["store"] == "ok"


def test_a_redis_that_is_killed_and_comes_back(replica: Stand) -> None:
    replica.redis.stop()
    check(asked_for(replica, 2.0))
    assert ask(replica.port, "/healthz").document["error"]
    replica.restart_redis()
    assert wait_for("the store", lambda: is_well(replica)) < AGAIN_S
    wait_for("no error", lambda: not ask(replica.port, "/healthz").document["error"])


def test_a_restart_between_two_requests_is_not_noticed(replica: Stand) -> None:
    assert is_well(replica)
    replica.restart_redis()
    assert is_well(replica)


def test_a_replica_starts_while_redis_is_away(replica: Stand) -> None:
    replica.redis.stop()
    replica.kill()
    replica.start()
    assert "no_features" in replica.slate().document["degraded"]
    replica.restart_redis()
    assert wait_for("the store", lambda: is_well(replica)) < AGAIN_S
