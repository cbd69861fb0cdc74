"""The auction: who wins, what a winner pays, and which campaign files are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from headrace.ads.auction import MIN_PRICE_MICROS, Bid, second_price
from headrace.ads.campaign import Campaign, read_campaigns
from headrace.errors import ConfigError


def bid(campaign_id: str, bid_micros: int, p_click: float) -> Bid:
    return Bid(Campaign(campaign_id, "mug", bid_micros, budget_micros=1), p_click)


def bids_of(prices: list[tuple[int, float]]) -> list[Bid]:
    return [bid(f"c{n}", micros, p_click) for n, (micros, p_click) in enumerate(prices)]


offers = st.lists(st.tuples(st.integers(1, 10**9), st.floats(0, 1)), min_size=1, max_size=8).map(
    bids_of
)


def rounded_up(ecpm_micros: int) -> int:
    return -(-ecpm_micros // 1_000)


def test_the_best_ecpm_wins_and_pays_the_next_one() -> None:
    asked = [bid("low", 900_000, 0.01), bid("high", 300_000, 0.05), bid("mid", 400_000, 0.03)]
    placed = [(b.campaign.id, b.ecpm_micros, price) for b, price in second_price(asked)]
    assert placed == [
        ("high", 15_000_000, 12_000),
        ("mid", 12_000_000, 9_000),
        ("low", 9_000_000, MIN_PRICE_MICROS),
    ]


def test_a_price_is_rounded_up_to_whole_micros() -> None:
    ((_, price), _) = second_price([bid("a", 2, 1.0), bid("b", 1, 0.0015)])
    assert price == 1
    ((_, price), _) = second_price([bid("a", 9, 1.0), bid("b", 3, 0.5)])
    assert price == 2  # an eCPM of 1,500 micros


@settings(max_examples=100)
@given(offers)
def test_everyone_is_placed_once_from_best_to_worst(offered: list[Bid]) -> None:
    placed = second_price(offered)
    assert sorted(b.campaign.id for b, _ in placed) == sorted(b.campaign.id for b in offered)
    ecpms = [b.ecpm_micros for b, _ in placed]
    assert ecpms == sorted(ecpms, reverse=True)
    assert (
        second_price(offered[::-1]) == placed
    )  # equal ones by id: the order asked does not matter


@settings(max_examples=100)
@given(offers)
def test_a_price_lies_between_the_next_offer_and_the_own(offered: list[Bid]) -> None:
    placed = second_price(offered)
    prices = [price for _, price in placed]
    assert prices == sorted(prices, reverse=True)
    for (own, price), (below, _) in zip(placed, [*placed[1:], (None, 0)], strict=True):
        assert isinstance(price, int) and price >= MIN_PRICE_MICROS
        assert price <= max(rounded_up(own.ecpm_micros), MIN_PRICE_MICROS)
        if below:
            assert 1_000 * price >= below.ecpm_micros


@settings(max_examples=100)
@given(offers, st.integers(0, 7), st.integers(1, 10**9))
def test_a_loser_that_bids_more_but_still_loses_changes_no_winner(
    offered: list[Bid], loser: int, bid_micros: int
) -> None:
    winner, price = second_price(offered)[0]
    lost = offered[loser % len(offered)]
    raised = replace(lost, campaign=msgspec.structs.replace(lost.campaign, bid_micros=bid_micros))
    assume(lost is not winner)
    assume(lost.ecpm_micros <= raised.ecpm_micros < winner.ecpm_micros)
    others = [raised if offer is lost else offer for offer in offered]
    still, new_price = second_price(others)[0]
    assert still == winner
    assert price <= new_price <= rounded_up(winner.ecpm_micros)


@settings(max_examples=100)
@given(offers, st.integers(1, 10**9))
def test_a_winner_pays_the_same_whatever_it_bids_above_the_next(
    offered: list[Bid], bid_micros: int
) -> None:
    placed = second_price(offered)
    winner, price = placed[0]
    other = replace(
        winner, campaign=msgspec.structs.replace(winner.campaign, bid_micros=bid_micros)
    )
    others = [other if offer is winner else offer for offer in offered]
    best, new_price = second_price(others)[0]
    assume(best.campaign.id == winner.campaign.id)
    assert new_price == price


ITEM_IDS = {"mug", "pen"}
GOOD = "{id: c1, item_id: mug, bid_micros: 5, budget_micros: 100}"


def read(folder: Path, *campaigns: str) -> tuple[Campaign, ...]:
    path = folder / "campaigns.yaml"
    path.write_text("campaigns:\n" + "".join(f"  - {one}\n" for one in campaigns))
    return read_campaigns(str(path), ITEM_IDS)


def test_a_campaign_file_is_read_in_its_order(tmp_path: Path) -> None:
    targeted = "{id: c0, item_id: pen, bid_micros: 1, budget_micros: 2, categories: [toys]}"
    assert read(tmp_path, GOOD, targeted) == (
        Campaign("c1", "mug", 5, 100),
        Campaign("c0", "pen", 1, 2, ("toys",)),
    )


def test_without_a_file_there_are_no_campaigns() -> None:
    assert read_campaigns("", ITEM_IDS) == ()


def test_all_problems_of_a_campaign_file_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(
            tmp_path,
            GOOD,
            GOOD.replace("mug", "cup"),
            GOOD.replace("c1", "c2").replace("mug", "hat"),
            GOOD.replace("c1", "'c{3}'"),
        )
    message = str(caught.value)
    assert "campaigns.yaml" in message and "\n" not in message
    assert "id 'c1' is used twice" in message
    assert "campaign 'c1' advertises unknown item 'cup'" in message
    assert "campaign 'c2' advertises unknown item 'hat'" in message
    assert "id 'c{3}' has a brace" in message


@pytest.mark.parametrize(
    ("campaign", "problem"),
    [
        (
            "{id: c1, item_id: mug, bid_micros: 5, budget_micros: 9, bidd: 1}",
            "unknown field `bidd`",
        ),
        ("{id: c1, item_id: mug, bid_micros: 5}", "missing required field `budget_micros`"),
        ("{id: c1, item_id: mug, bid_micros: 0, budget_micros: 9}", "bid_micros"),
        ("{id: c1, item_id: mug, bid_micros: 5, budget_micros: -1}", "budget_micros"),
        ("{id: c1, item_id: mug, bid_micros: 0.5, budget_micros: 9}", "bid_micros"),
        ("{id: '', item_id: mug, bid_micros: 5, budget_micros: 9}", "id"),
        ("{id: c1, item_id: '', bid_micros: 5, budget_micros: 9}", "item_id"),
        ("{id: c1, item_id: mug, bid_micros: 5, budget_micros: 9, categories: toys}", "categories"),
        ("[id, c1]", "Expected `object`"),
    ],
)
def test_a_bad_campaign_is_refused_with_the_place(
    tmp_path: Path, campaign: str, problem: str
) -> None:
    with pytest.raises(ConfigError, match=r"campaigns\.yaml") as caught:
        read(tmp_path, GOOD, campaign)
    assert problem in str(caught.value) and "campaigns[1]" in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "campaigns: 3", "{campaigns: [], budgets: []}", "a: [", "- 1"]
)
def test_a_file_that_is_no_campaign_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "campaigns.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"campaigns file .*campaigns\.yaml"):
        read_campaigns(str(path), ITEM_IDS)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: No such file"):
        read_campaigns(str(tmp_path / "nowhere.yaml"), ITEM_IDS)
