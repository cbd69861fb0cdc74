"""The simulated shops of benchmarks: a policy changes slates, a request's id repeats them."""

from __future__ import annotations

import pytest

from benchmarks import cold_start, exploration
from headrace.application.exploration import Exploration
from headrace.learning import last_layer_fit

BEFORE, AFTER = 60, 20


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few requests, of which the last layer learns from the first on."""
    monkeypatch.setattr(exploration, "REQUESTS_BEFORE", BEFORE)
    monkeypatch.setattr(exploration, "REQUESTS_AFTER", AFTER)
    monkeypatch.setattr(last_layer_fit, "FIRST_SAMPLES", 0)


def slates(policy: Exploration) -> list[list[int]]:
    return list(exploration.slates(exploration.Shop.of(0), policy, seed=0))


def test_thompson_sampling_of_a_learned_posterior_draws_slates_that_its_requests_repeat() -> None:
    thompson = Exploration("thompson", draws=10)
    drawn, ranked = slates(thompson), slates(Exploration())
    assert drawn == slates(thompson) and len(drawn) == BEFORE + AFTER
    differ = [one != other for one, other in zip(drawn[-30:], ranked[-30:], strict=True)]
    assert sum(differ) > 20


def test_the_outcome_says_when_new_items_came_to_their_places_and_what_was_lost() -> None:
    shop, new = exploration.Shop.of(0), exploration.NUM_ITEMS
    best = shop.rate_I.argsort()[::-1][: exploration.PLACES].tolist()
    others = [item for item in best if item != new]
    at_first = [[*others, new]] * 10 + [others] * 250  # shown, and then not, before it stays
    later = at_first + [[*others, new]] * 200
    found = exploration.outcome([[*range(10)]] * BEFORE + later, shop)
    first = found["new_items"][0]
    assert first == {"requests_until": 60, "impressions_until": 10, "impressions": 210}
    assert found["lost_clicks"] > 0
    ideal = exploration.outcome([[*range(10)]] * BEFORE + [best] * 200, shop)
    assert ideal["lost_clicks"] == pytest.approx(0, abs=1e-6)
    said = exploration.summary([found, ideal])
    assert said["new_items"] == 2 * exploration.NUM_NEW and said["at_their_place"] >= 1


def test_a_share_of_the_best_slate_is_one_for_the_best() -> None:
    town = cold_start.Town.of(0)
    best = town.p_UI[3].argsort()[::-1][: cold_start.PLACES].tolist()
    assert cold_start.share(town, 3, best) == pytest.approx(1)
    assert cold_start.share(town, 3, best[:5]) < 1
