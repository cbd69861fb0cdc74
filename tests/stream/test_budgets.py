"""Money leaves a budget by events only: placed ads reserve, shown ones are charged, once each."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis
from stream_servers import materialize, shop

from headrace import config
from headrace.ads.budgets import Budgets
from headrace.ads.campaign import Campaign
from headrace.broker.topics import Topics
from headrace.broker.writer import LogWriter
from headrace.catalogue.item import Item
from headrace.clock import now_ms
from headrace.event import ImpressionEvent, Shown, encode
from headrace.positions.store import CommitStore
from headrace.stream.worker import Worker

pytestmark = pytest.mark.services

WHOLE = 100
CAMPAIGN = Campaign("tea", "i1", bid_micros=10, budget_micros=WHOLE)
NAMESPACES = count()


@pytest.fixture
def budgets(servers: config.Settings, redis_of_servers: Redis) -> Iterator[Budgets]:
    yield opened(servers, redis_of_servers)


def opened(settings: config.Settings, redis: Redis) -> Budgets:
    """A campaign's budget of 100 micros, whose reservations last ten seconds."""
    budgets = Budgets(redis, f"{settings.namespace}_{next(NAMESPACES)}", reservation_s=10)
    budgets.open([CAMPAIGN])
    return budgets


def amounts(budgets: Budgets) -> tuple[int, int, int]:
    """Left, reserved and spent."""
    return (
        budgets.left_micros("tea"),
        budgets.reserved_micros("tea"),
        budgets.spent_micros("tea"),
    )


def test_a_placed_ad_costs_nothing_until_it_was_shown_and_then_once(budgets: Budgets) -> None:
    assert budgets.reserve("tea", "r1", 30, now_ms=0)
    assert amounts(budgets) == (70, 30, 0)
    assert budgets.charge([("tea", "r1"), ("tea", "r1"), ("tea", "another's"), ("?", "r1")]) == 30
    assert budgets.charge([("tea", "r1")]) == 0
    assert amounts(budgets) == (70, 0, 30)


def test_asking_for_ads_takes_no_money_it_only_holds_it_for_a_while(budgets: Budgets) -> None:
    asked = [budgets.reserve("tea", f"r{n}", 30, now_ms=n) for n in range(3_000)]
    assert sum(asked) == 3 and amounts(budgets) == (10, 90, 0)
    assert budgets.reserve("tea", "later", 100, now_ms=13_000)
    assert amounts(budgets) == (0, 100, 0)
    assert budgets.charge([("tea", "r0")]) == 0  # it was shown when its reservation was over


def test_a_request_that_is_made_again_reserves_once(budgets: Budgets) -> None:
    assert budgets.reserve("tea", "r1", 60, now_ms=0) and budgets.reserve("tea", "r1", 60, now_ms=1)
    assert amounts(budgets) == (40, 60, 0)


steps = st.lists(
    st.tuples(st.booleans(), st.integers(0, 5), st.integers(1, 60), st.integers(0, 8_000)),
    max_size=12,
)


@given(steps)
def test_left_reserved_and_spent_are_the_whole_budget_at_any_moment(
    servers: config.Settings, steps: list[tuple[bool, int, int, int]]
) -> None:
    with Redis.from_url(servers.redis_url) as redis:
        budgets, now = opened(servers, redis), 0
        for is_shown, request, price, later_ms in steps:
            now += later_ms
            spent_before = budgets.spent_micros("tea")
            if is_shown:
                charged = budgets.charge([("tea", f"r{request}")])
                assert budgets.spent_micros("tea") == spent_before + charged
            else:
                budgets.reserve("tea", f"r{request}", price, now)
                assert budgets.spent_micros("tea") == spent_before
            left, reserved, spent = amounts(budgets)
            assert left + reserved + spent == WHOLE and min(left, reserved, spent) >= 0


def test_the_stream_charges_what_an_impression_says_was_shown(
    servers: config.Settings, redis_of_servers: Redis
) -> None:
    settings = config.changed(servers, namespace=f"{servers.namespace}_charged")
    budgets = Budgets(redis_of_servers, settings.namespace)
    budgets.open([CAMPAIGN])
    for request in ("r1", "r2"):
        assert budgets.reserve("tea", request, 20, now_ms())
    materialize(settings, shop([Item("i1")], ()))
    shown = (Shown("i1", campaign_id="tea"),)
    seen = [ImpressionEvent(f"e{n}", now_ms(), "ann", "r1", shown) for n in range(2)]
    organic = ImpressionEvent("e2", now_ms(), "ann", "r2", (Shown("i1"),))
    with_copies = [*seen, organic, seen[0]]
    writer = LogWriter(settings)
    for event in with_copies:
        writer.send(Topics(settings.namespace).events, encode(event), b"ann")
    writer.close()
    commits = CommitStore(redis_of_servers, settings.namespace)
    number = range(settings.stream.num_partitions)

    def done() -> bool:
        offsets = [commit.offset for commit in commits.read_all().values()]
        return sum(offsets) == len(with_copies)

    Worker(settings, number, now_ms).run(done)
    assert amounts(budgets) == (60, 20, 20)
