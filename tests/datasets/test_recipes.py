"""The recipes of docs/data.md, each on a few invented rows of its public log's layout."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from public_layouts import H_AND_M, MIND, OLIST, RETAILROCKET, UCI_ONLINE_RETAIL, Files, written

from headrace import cli
from headrace.catalogue.item import Dataset
from headrace.datasets.draft.draft import drafted
from headrace.datasets.draft.page import page_of
from headrace.datasets.table import loader as table
from headrace.event import ActionEvent, ImpressionEvent, Shown

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text(encoding="utf-8")


def recipe(folder: Path, title: str, files: Files) -> tuple[Dataset, dict[str, Any]]:
    """The log as the recipe under this title reads it, and what `headrace check` counts."""
    (mapping,) = re.findall(rf"^### {re.escape(title)}\n.*?```yaml\n(.*?)```", PAGE, re.M | re.S)[
        :1
    ]
    written(folder, files)
    (folder / "headrace.yaml").write_text(mapping, encoding="utf-8")
    out = folder / "check.json"
    assert cli.main(["check", f"--data={folder}", f"--json={out}"]) == 0
    return table.load(folder), json.loads(out.read_text())


def codes(checked: dict[str, Any]) -> dict[str, int]:
    return {one["code"]: one["count"] for one in checked.pop("warnings")}


def actions(dataset: Dataset) -> Counter[str]:
    assert dataset.counts is not None
    return Counter({name: num for name, num in dataset.counts.actions.items() if num})


def test_retailrocket(tmp_path: Path) -> None:
    log, checked = recipe(tmp_path, "Retailrocket", RETAILROCKET)
    assert codes(checked) == {"no_impressions": 6, "unknown_items": 1, "one_surface": 6}
    assert checked == {
        "events": 6, "impressions": 0, "positives": 6, "items": 3, "users": 3,
        "bad_rows": {}, "reasons": {},
    }  # fmt: skip
    assert actions(log) == {"click": 4, "add_to_cart": 1, "purchase": 1}
    item = next(one for one in log.items if one.item_id == "355908")
    assert item.categories == ("1338",)
    assert item.attributes == ("parentid=278", "available=0", "price=20000-50000 XXX")


def test_uci_online_retail(tmp_path: Path) -> None:
    log, checked = recipe(tmp_path, "UCI Online Retail", UCI_ONLINE_RETAIL)
    assert codes(checked) == {"no_impressions": 5, "one_surface": 7}
    assert checked == {
        "events": 7, "impressions": 0, "positives": 5, "items": 6, "users": 2,
        "bad_rows": {}, "reasons": {},
    }  # fmt: skip
    told: dict[tuple[str, str], list[tuple[int | None, bool]]] = {}
    for event in log.events():
        assert isinstance(event, ActionEvent) and event.action == "purchase"
        of_item = told.setdefault((event.user_id, event.item_id), [])
        of_item.append((event.amount_micros, event.takes_back))
    assert told["17850", "71053"] == [(20_340_000, False), (-20_340_000, True)]
    assert told["guest-536414", "22139"] == [(0, False)]
    assert told["guest-536589", "21777"] == [(0, True)]  # nothing was paid for what was lost
    assert {item.title for item in log.items} >= {"POSTE FRANÇAISE, 12", "WHITE METAL LANTERN"}
    assert {user.user_id: user.attributes for user in log.users} == {
        "17850": ("Country=United Kingdom",),
        "12583": ("Country=France",),
    }


def test_h_and_m(tmp_path: Path) -> None:
    log, checked = recipe(tmp_path, "H&M", H_AND_M)
    assert codes(checked) == {"no_impressions": 4}
    assert checked == {
        "events": 4, "impressions": 0, "positives": 4, "items": 2, "users": 2,
        "bad_rows": {}, "reasons": {},
    }  # fmt: skip
    assert {event.surface for event in log.events()} == {"1", "2"}
    assert next(iter(log.events())).event_time_ms == 1_537_394_400_000  # midnight in Stockholm
    assert [item.item_id for item in log.items] == ["0663713001", "0541518023"]
    assert {one.item_id: dict(one.files) for one in log.contents()} == {
        "0663713001": {"image": tmp_path / "images/066/0663713001.jpg"},
        "0541518023": {"image": tmp_path / "images/054/0541518023.jpg"},
    }
    assert log.users[0].attributes == ("club_member_status=ACTIVE",)


def test_olist(tmp_path: Path) -> None:
    log, checked = recipe(tmp_path, "Olist", OLIST)
    assert codes(checked) == {"no_impressions": 2, "one_surface": 2}
    assert checked == {
        "events": 2, "impressions": 0, "positives": 2, "items": 3, "users": 2,
        "bad_rows": {}, "reasons": {},
    }  # fmt: skip
    paid = [
        (event.user_id, event.item_id, event.amount_micros)
        for event in log.events()
        if isinstance(event, ActionEvent)
    ]
    assert paid == [("u1", "p1", 59_980_000), ("u2", "p2", 118_700_000)]
    assert [item.categories for item in log.items] == [("housewares",), ("perfumery",), ()]
    assert {user.user_id: user.attributes for user in log.users} == {
        "u1": ("customer_state=SP",),
        "u2": ("customer_state=BA",),
    }


def test_mind(tmp_path: Path) -> None:
    log, checked = recipe(tmp_path, "MIND", MIND)
    assert codes(checked) == {"one_surface": 7}
    assert checked == {
        "events": 3, "impressions": 7, "positives": 2, "items": 4, "users": 3,
        "bad_rows": {}, "reasons": {},
    }  # fmt: skip
    first, second, _ = log.events()
    assert isinstance(first, ImpressionEvent) and isinstance(second, ImpressionEvent)
    assert first.items == (Shown("N55689", 0, True), Shown("N35729", 1, False))
    assert (second.event_time_ms, second.request_id) == (1_573_582_290_000, "2")
    quoted = next(item for item in log.items if item.item_id == "N20678")
    assert quoted.title == 'The "quoted' and quoted.attributes == ("subcategory=football_nfl",)


def test_items_of_an_impression_in_one_cell_are_recognised(tmp_path: Path) -> None:
    draft = drafted(written(tmp_path, MIND), {})
    events = yaml.safe_load(page_of(draft))["events"]
    assert events["file"] == "behaviors.tsv"
    assert events["item_ids"] == {"column": "5", "separator": " ", "outcome_separator": "-"}
    assert events["time"] == {"column": "3", "pattern": "%m/%d/%Y %I:%M:%S %p"}
    assert [path for path, _ in draft.open()] == ["events.user_id"]  # columns have no names


@pytest.mark.parametrize("title", ["Retailrocket", "UCI Online Retail", "H&M", "Olist", "MIND"])
def test_each_recipe_stands_once_on_the_page(title: str) -> None:
    assert len(re.findall(rf"^### {re.escape(title)}$", PAGE, re.M)) == 1
