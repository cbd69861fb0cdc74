"""The small Open Bandit Dataset: impressions with propensities, users made of features."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.catalogue.item import Dataset
from headrace.datasets import openbandit
from headrace.errors import DatasetError
from headrace.event import ImpressionEvent, decode, encode

LOG = (
    ",timestamp,item_id,position,click,propensity_score,"
    "user_feature_0,user_feature_1,user_feature_2,user_feature_3,user-item_affinity_0\n"
)
CONTEXT = (
    ",item_id,item_feature_0,item_feature_1,item_feature_2,item_feature_3\n0,14,0.5,aa,bb,cc\n"
)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return openbandit.load(None)


def impressions(dataset: Dataset) -> list[ImpressionEvent]:
    return [event for event in dataset.events() if isinstance(event, ImpressionEvent)]


def write_folder(folder: Path, rows: str) -> Path:
    (folder / "all.csv").write_text(LOG + rows)
    (folder / "item_context.csv").write_text(CONTEXT)
    return folder


def test_the_wheel_holds_ten_thousand_impressions_of_the_random_policy(dataset: Dataset) -> None:
    events = impressions(dataset)
    assert len(events) == dataset.num_events == 10_000
    assert (len(dataset.items), len(dataset.users)) == (80, 240)
    assert {event.items[0].propensity for event in events} == {0.0125}
    assert sum(bool(event.items[0].clicked) for event in events) == 38
    assert {event.items[0].position for event in events} == {0, 1, 2}


def test_events_are_unique_in_time_order_and_valid(dataset: Dataset) -> None:
    events = impressions(dataset)
    assert len({event.event_id for event in events}) == 10_000
    times_ms = [event.event_time_ms for event in events]
    assert times_ms == sorted(times_ms)
    assert (times_ms[0], times_ms[-1]) == (dataset.start_ms, dataset.end_ms)
    assert times_ms[0] == 1_574_553_634_762  # 2019-11-24 00:00:34.762830 UTC
    assert all(decode(encode(event), dataset.end_ms) == event for event in events)


@pytest.mark.parametrize("campaign", openbandit.CAMPAIGNS)
@pytest.mark.parametrize("policy", openbandit.POLICIES)
def test_every_log_of_the_wheel_loads(policy: str, campaign: str) -> None:
    dataset = openbandit.load(None, policy, campaign)
    shown = {event.items[0].item_id for event in impressions(dataset)}
    assert dataset.num_events == 10_000
    assert shown <= {item.item_id for item in dataset.items}


def test_an_unknown_log_lists_the_known_ones() -> None:
    with pytest.raises(DatasetError, match="campaigns are all, men, women"):
        openbandit.load(None, campaign="kids")


def test_a_folder_is_read_and_sorted_by_time(tmp_path: Path) -> None:
    dataset = openbandit.load(
        write_folder(
            tmp_path,
            "0,2019-11-24 00:00:02.500000+00:00,14,3,0,0.5,a,b,c,d,0.0\n"
            "1,2019-11-24 00:00:01+00:00,14,1,1,1.0,a,b,c,e,0.0\n"
            "2,2019-11-24 00:00:02.500000+00:00,14,2,0,0.5,a,b,c,d,0.0\n",
        )
    )
    events = impressions(dataset)
    assert [event.items[0].position for event in events] == [0, 2, 1]
    assert [event.event_time_ms % 10_000 for event in events] == [1_000, 2_500, 2_500]
    assert events[1].user_id == events[2].user_id != events[0].user_id
    assert dataset.items[0].categories == ("item_feature_3=cc",)
    assert dataset.items[0].attributes == ("item_feature_1=aa", "item_feature_2=bb")
    assert dataset.users[0].attributes[3] == "user_feature_3=e"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("0,2019-11-24 00:00:02+00:00,14,0,0,0.5,a,b,c,d,0\n", "position counts from 1"),
        ("0,2019-11-24 00:00:02+00:00,14,1,2,0.5,a,b,c,d,0\n", "click is 0 or 1"),
        ("0,2019-11-24 00:00:02+00:00,14,1,0,0.0,a,b,c,d,0\n", "propensity_score is above 0"),
        ("0,yesterday,14,1,0,0.5,a,b,c,d,0\n", r"all\.csv: cannot be read"),
        ("0,2019-11-24 00:00:02+00:00,,1,0,0.5,a,b,c,d,0\n", "empty values in item_id"),
        ("", "no rows"),
    ],
)
def test_an_unusable_log_is_one_clear_error(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        openbandit.load(write_folder(tmp_path, row))
