"""A shop with actions, heads, weights and surfaces of its own: from its files to slates and figures
of their quality, over HTTP and by the commands of a second terminal."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from second_terminal import Terminal

pytestmark = [pytest.mark.loop, pytest.mark.services, pytest.mark.ray]

HEADS = ["click", "wish", "rent"]
FEE = {"amount_micros": 12_500_000, "currency": "EUR"}


def slate(terminal: Terminal, **asked: Any) -> dict[str, Any]:
    body = {"user_id": "7", "num_items": 5, "surface": "shelf", "record": False, **asked}
    status, answer = terminal.platform.post("/v1/recommend", body)
    assert status == 200, answer
    return answer


def told(terminal: Terminal, command: str) -> str:
    done = terminal.run(command)
    assert done.returncode == 0, f"{done.stdout[-2_000:]}{done.stderr[-2_000:]}"
    return done.stdout


def test_slates_are_ordered_by_the_weights_of_its_heads_and_say_these(terminal: Terminal) -> None:
    items = slate(terminal)["items"]
    scores = [item["score"] for item in items]
    assert len(items) == 5 and scores == sorted(scores, reverse=True)
    for item in items:
        assert list(item["p"]) == ["rent"] and 0 < item["p"]["rent"] <= item["p_click"]
        assert item["score"] == pytest.approx(item["p_click"] + 5 * item["p"]["rent"], rel=1e-4)


@pytest.mark.parametrize(
    "action",
    [{"action": "wish"}, {"action": "rent", **FEE}, {"action": "rent", "taken_back": True}],
)
def test_its_own_actions_are_taken_over_http(terminal: Terminal, action: dict[str, Any]) -> None:
    event = {"type": "action", "user_id": "1000", "item_id": "288", **action}
    status, answer = terminal.platform.post("/v1/events", event)
    assert (status, answer["accepted"]) == (202, 1), answer


@pytest.mark.parametrize(
    ("action", "field", "says"),
    [
        ({"action": "purchase"}, "action", "expected one of: bored, rent, wish"),
        ({"action": "wish", **FEE}, "amount_micros", "such are: rent"),
        ({"action": "rent", "value": 0.5}, "value", "rent"),
    ],
)
def test_what_it_has_not_declared_is_refused_with_the_field(
    terminal: Terminal, action: dict[str, Any], field: str, says: str
) -> None:
    event = {"type": "action", "user_id": "1000", "item_id": "288", **action}
    status, answer = terminal.platform.post("/v1/events", event)
    assert (status, answer["field"]) == (422, field) and says in answer["error"]


def test_what_its_own_aversion_hides_leaves_the_slate(terminal: Terminal) -> None:
    first = slate(terminal, user_id="1003")["items"][0]["item_id"]
    event = {"type": "action", "action": "bored", "user_id": "1003", "item_id": first}
    assert terminal.platform.post("/v1/events", event)[0] == 202
    deadline = time.monotonic() + 5
    while first in [one["item_id"] for one in slate(terminal, user_id="1003")["items"]]:
        assert time.monotonic() < deadline, "it is shown 5 s after it was hidden"
        time.sleep(0.1)


def test_status_report_and_explanations_have_its_heads_and_surfaces(terminal: Terminal) -> None:
    report = terminal.platform.wait_report()
    assert list(report["progressive_actions"]) == HEADS[1:]
    quality = json.loads(terminal.run("headrace status --json").stdout)["quality"]
    assert {"action:wish", "action:rent", "surface:shelf", "surface:counter"} <= quality.keys()
    command = "headrace explain --user 7 --item 288 --surface counter --json"
    explained = json.loads(told(terminal, command))
    (item,) = explained["items"]
    assert explained["surface_known"]
    assert (list(item["p"]), item["given_click"]) == (HEADS, ["rent"])


def test_its_files_are_checked_and_its_heads_judged(terminal: Terminal) -> None:
    assert "nothing looks wrong" in told(terminal, "headrace check --data shop/")
    told(terminal, "headrace evaluate --data shop/ --json quality.json")
    quality = json.loads((terminal.folder / "quality.json").read_text())
    assert list(quality["labels"]) == HEADS
    assert all(0 < of["auc"] < 1 for of in quality["labels"].values())
