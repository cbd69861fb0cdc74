"""Items over HTTP, on a replica that follows a real broker: put, changed, asked for, gone."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import msgspec
import pytest
from http_door import answer_to
from small_loop import SmallLoop, sample, small_loop, trained

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Ray Serve's own, about pydantic
    from serving.app import Gateway

pytestmark = pytest.mark.services

JSON = {"content-type": "application/json"}
WITHIN_S = 2.0
MUG = {"item_id": "mug", "title": "A mug", "price_micros": 9_990_000, "currency": "EUR"}
SOLD_OUT = {"item_id": "i3", "stock": 0}


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallLoop]:
    with small_loop(tmp_path_factory.mktemp("documents")) as running:
        yield running


class Shop:
    """A replica, asked as over HTTP."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def ask(self, method: str, path: str, sent: object = None) -> tuple[int, Any]:
        response = answer_to(self._gateway, method, path, JSON, [msgspec.json.encode(sent)])
        return response.status_code, msgspec.json.decode(response.body)

    def slate(self) -> dict[str, Any]:
        asked = {"user_id": "u0", "num_items": 100, "record": False}
        status, slate = self.ask("POST", "/v1/recommend", asked)
        assert status == 200 and slate["model_version"]
        return {item["item_id"]: item for item in slate["items"]}

    def soon(self, holds: Callable[[dict[str, Any]], bool]) -> None:
        """Returns when it holds of a slate; fails where it does not in time."""
        began_s = time.monotonic()
        while not holds(self.slate()):
            assert time.monotonic() - began_s < WITHIN_S, self.slate()
            time.sleep(0.05)


@pytest.fixture(scope="module")
def shop(loop: SmallLoop) -> Iterator[Shop]:
    settings = loop.settings("documents")
    with trained(settings, [sample(number) for number in range(15)]):
        with closing(Gateway(settings)) as gateway:
            yield Shop(gateway)


def test_slates_follow_what_is_put_changed_and_taken_away(shop: Shop) -> None:
    assert set(shop.slate()) == {f"i{n}" for n in range(30)}
    status, taken = shop.ask("PUT", "/v1/items", [MUG, {"item_id": "i3", "title": "another"}])
    assert (status, taken) == (202, {"accepted": 2, "ids": ["mug", "i3"]})
    shop.soon(lambda slate: "mug" in slate and slate["i3"]["title"] == "another")
    assert shop.ask("PATCH", "/v1/items", {"item_id": "i3", "title": "a third"})[0] == 202
    assert shop.ask("DELETE", "/v1/items/i7")[0] == 202
    shop.soon(lambda slate: "i7" not in slate and slate["i3"]["title"] == "a third")
    assert shop.ask("DELETE", "/v1/items/mug")[0] == shop.ask("DELETE", "/v1/items/mug")[0] == 202
    shop.soon(lambda slate: "mug" not in slate)
    assert len(shop.slate()) == 29


def test_whoever_was_told_that_it_is_in_the_log_finds_it(shop: Shop) -> None:
    for price in range(1, 4):
        assert (
            shop.ask("PUT", "/v1/items", {**MUG, "item_id": "jug", "price_micros": price})[0] == 202
        )
        status, found = shop.ask("GET", "/v1/items/jug")
        assert (status, found["price_micros"], found["currency"]) == (200, price, "EUR")
    assert (
        shop.ask("PATCH", "/v1/items", {"item_id": "jug", "currency": None, "stock": 3})[0] == 202
    )
    assert shop.ask("GET", "/v1/items/jug")[1] == {
        "item_id": "jug",
        "title": "A mug",
        "price_micros": 3,
        "stock": 3,
    }
    assert shop.ask("PUT", "/v1/items", {"item_id": "new"})[0] == 202
    assert shop.ask("PATCH", "/v1/items", {"item_id": "new", "stock": 1})[0] == 202
    assert shop.ask("DELETE", "/v1/items/jug")[0] == shop.ask("DELETE", "/v1/items/new")[0] == 202
    status, fault = shop.ask("GET", "/v1/items/jug")
    assert status == 404 and "there is no item 'jug'" in fault["error"]


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "field"),
    [
        ("PUT", "/v1/items", [MUG, {**MUG, "stock": -1}], 422, "[1].stock"),
        ("PUT", "/v1/items", [MUG] * 1_001, 422, "$"),
        ("PUT", "/v1/items", {"item_id": "x" * 257}, 422, "item_id"),
        ("PATCH", "/v1/items", {"item_id": "i3"}, 422, "$"),
        ("PATCH", "/v1/items", [SOLD_OUT, {**SOLD_OUT, "item_id": "no"}], 404, None),
        ("GET", "/v1/items/no", None, 404, None),
        ("GET", "/v1/items/" + "x" * 257, None, 404, None),
        ("GET", "/v1/users/nobody", None, 404, None),
        ("POST", "/v1/items", MUG, 405, None),
        ("GET", "/v1/items", None, 405, None),
        ("PUT", "/v1/items/i3", MUG, 405, None),
        ("PUT", "/v1/users", {"user_id": "ann", "attributes": {"a": {}}}, 422, "attributes[...]"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_is_refused_whole_and_named(
    shop: Shop, method: str, path: str, sent: object, status: int, field: str | None
) -> None:
    answered, fault = shop.ask(method, path, sent)
    assert (answered, fault.get("field")) == (status, field) and fault["error"]
    assert "stock" not in shop.ask("GET", "/v1/items/i3")[1]
