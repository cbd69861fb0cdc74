"""Items that come, change and go while a replica answers: its slates follow them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from small_loop import NOW_MS, SmallLoop, replica, sample, small_loop, trained

from headrace.api.slate import RankedItem, RecommendRequest, SimilarRequest
from headrace.catalogue.item import Item
from headrace.features.online.store import OnlineStore
from headrace.learning import two_tower_fit
from serving.lists import Lists
from serving.recommend import Recommender
from serving.replica.follow import Live
from serving.stages.hydrate import Hydrate

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallLoop]:
    with small_loop(tmp_path_factory.mktemp("coming")) as running:
        yield running


@dataclass(frozen=True)
class Asked:
    """Slates of all items by a replica, for one user."""

    live: Live
    recommender: Recommender
    users: OnlineStore

    def slate(self) -> dict[str, RankedItem]:
        request = RecommendRequest("u0", num_items=100, record=False)
        slate, _ = self.recommender.recommend(request, self.live.snapshot, NOW_MS)
        assert slate.model_version  # a model ranks them
        return {item.item_id: item for item in slate.items}


@pytest.fixture
def asked(loop: SmallLoop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    monkeypatch.setattr(two_tower_fit, "FIRST_CHOICES", 5)  # there are few
    settings = loop.settings("coming")
    with trained(settings, [sample(number) for number in range(15)]), replica(settings) as live:
        live.catch_up()
        users = OnlineStore(settings)
        yield Asked(live, Recommender(Hydrate(users), live.catalogue, 200), users)


def test_slates_follow_items_that_come_change_and_go(asked: Asked) -> None:
    before = asked.slate()
    assert set(before) == {f"i{n}" for n in range(30)}
    asked.live.follow_items([Item("new", "film 3", ("drama",))], ["i7", "never there"])
    after = asked.slate()
    assert set(after) == set(before) - {"i7"} | {"new"}
    assert after["new"].title == "film 3"
    assert {i: after[i].p_click for i in after if i != "new"} == pytest.approx(
        {i: before[i].p_click for i in before if i != "i7"}
    )
    asked.live.follow_items([Item("i4", "a film of another name", ("comedy",))], ["new"])
    last = asked.slate()
    assert set(last) == set(before) - {"i7"}
    assert last["i4"].title == "a film of another name" and last["i4"].categories == ("comedy",)
    assert last["i4"].p_click != before["i4"].p_click  # the ranker reads the words


def test_a_request_that_began_before_ends_with_the_items_that_it_had(asked: Asked) -> None:
    snapshot, catalogue = asked.live.snapshot, asked.live.catalogue
    rows = snapshot.trending_rows
    items = catalogue.items(rows)
    asked.live.follow_items([Item(f"next {n}") for n in range(40)], [i.item_id for i in items])
    assert catalogue.items(rows) == items
    assert set(asked.slate()) == {f"next {n}" for n in range(40)}


def test_a_new_item_is_similar_to_those_like_it_at_once(asked: Asked) -> None:
    asked.live.content_vectors.make()
    lists = Lists(Hydrate(asked.users), asked.live.catalogue, 200)
    request = SimilarRequest(("i4",), num_items=100)
    of_its_words = Item("new", "film 4", ())
    asked.live.follow_items([of_its_words], [])
    slate = lists.similar(request, asked.live.snapshot, NOW_MS)
    assert "content" in {item.item_id: item for item in slate.items}["new"].sources
    asked.live.follow_items([], ["new"])
    slate = lists.similar(request, asked.live.snapshot, NOW_MS)
    assert "new" not in {item.item_id for item in slate.items}


def test_what_the_towers_of_a_version_propose_is_in_the_next_slate(asked: Asked) -> None:
    assert asked.live.snapshot.towers is not None
    found = asked.slate()
    assert any("two_tower" in item.sources for item in found.values())
    asked.live.follow_items([Item("new", "film 2", ("drama",))], ["i3"])
    found = asked.slate()
    assert "two_tower" in found["new"].sources and "i3" not in found
