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


def test_the_outcome_says_when_an_item_came_to_its_place_and_what_was_lost() -> None:
    shop = exploration.Shop.of(0)
    best = shop.rate_I.argsort()[::-1][: exploration.PLACES].tolist()
    never = [[item for item in range(10)]] * BEFORE
    found = exploration.outcome(never + [best] * 200, shop)
    assert found["lost_clicks_after"] == pytest.approx(0, abs=1e-6)
    assert found["lost_clicks_before"] > 0
    assert found["requests_until_its_place"] == 0 and found["impressions"] == 200


def test_a_share_of_the_best_slate_is_one_for_the_best() -> None:
    town = cold_start.Town.of(0)
    best = town.p_UI[3].argsort()[::-1][: cold_start.PLACES].tolist()
    assert cold_start.share(town, 3, best) == pytest.approx(1)
    assert cold_start.share(town, 3, best[:5]) < 1
