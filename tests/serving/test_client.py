"""The Python client: every route of the table is a call, and every failure says what to do."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from bare_replica import BareReplica
from http_door import Shelf, answer_to, door
from http_server import http_server
from starlette.responses import Response

from headrace.access.api_keys.key import issue
from headrace.access.api_keys.ring import Keyring
from headrace.api.client import (
    ApiError,
    Busy,
    Client,
    KeyRefused,
    RequestRefused,
    Unanswered,
    new_id,
)
from headrace.api.endpoint import Get
from headrace.api.events import Taken
from headrace.api.health import Healthz, Livez
from headrace.api.routes import Routes, endpoints
from headrace.api.slate import (
    AdSlate,
    AdsRequest,
    RankRequest,
    RecommendRequest,
    SimilarRequest,
    Slate,
    TrendingQuery,
)
from headrace.documents.document import ItemDocument, ItemPatch, UserDocument, UserPatch
from headrace.errors import HeadraceError
from headrace.event import ClickEvent, ImpressionEvent, Shown
from headrace.services.ports import LOOPBACK, free_port
from serving.http.body import Bodies
from serving.http.door import Door
from serving.http.openapi import openapi_document
from serving.http.problem import json_response
from serving.http.route import Answer
from serving.http.router import Router
from serving.http.routes import routes

NOW_MS = 1_714_554_000_000
CLICK = ClickEvent(new_id(), NOW_MS, "ann", "mug")
SHOWN = ImpressionEvent(new_id(), NOW_MS, "ann", "page-1", (Shown("mug", 0), Shown("cup", 1)))
CALLS: dict[str, tuple[object, ...]] = {
    "recommend": (RecommendRequest("ann", num_items=3, exclude=("cup",)),),
    "rank": (RankRequest("ann", ("mug", "cup"), explain=True),),
    "similar": (SimilarRequest(("mug",)),),
    "trending": (TrendingQuery(5, "pots & pans"),),
    "place_ads": (AdsRequest("ann"),),
    "post_events": ((CLICK, SHOWN),),
    "put_items": (ItemDocument("mug", price_micros=9_990_000, currency="EUR"),),
    "patch_items": ((ItemPatch("mug", stock=0), ItemPatch("mug", title="A cup")),),
    "get_item": ("mug",),
    "delete_item": ("a/b c%?",),
    "put_users": (UserDocument("ann", {"age": 40}),),
    "patch_users": (UserPatch("ann", attributes={"age": None}),),
    "get_user": ("ann",),
    "delete_user": ("ann",),
}


@contextmanager
def served(by: Any, door_of_it: Door | None = None, table: type[Routes] = Routes) -> Iterator[str]:
    """The address of a server that answers a table."""
    router = Router(routes(by, table), Bodies(timeout_s=1), door_of_it or door())

    def answered(method: str, path: str, headers: Mapping[str, str], body: bytes) -> Response:
        return answer_to(router, method, path, headers, [body])

    with http_server(answered) as address:
        yield address


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with served(BareReplica()) as address, Client(address) as client:
        yield client


@pytest.mark.parametrize("row", endpoints(), ids=lambda row: row.name)
def test_every_route_of_the_table_is_a_call_whose_answer_has_the_type_of_the_row(
    client: Client, row: Any
) -> None:
    posted = CALLS.get(row.name, ())
    takes = row.request is not None or row.query is not None or bool(row.prefix)
    assert len(posted) == takes
    answer = getattr(client, row.name)(*posted)
    assert isinstance(answer, dict if row.name == "openapi" else row.answer)


def test_what_is_asked_arrives_and_what_is_answered_comes_back(client: Client) -> None:
    slate: Slate = client.recommend(RecommendRequest(user_id="ann"))
    assert slate.user_id == "ann" and slate.items[0].item_id == "mug"
    ads: AdSlate = client.place_ads(AdsRequest(user_id="bob"))
    assert ads.user_id == "bob" and ads.ads[0].price_micros == 1
    taken: Taken = client.post_events(CLICK)
    assert taken == Taken(1, (CLICK.event_id,))
    assert client.post_events((SHOWN, CLICK)).event_ids == (SHOWN.event_id, CLICK.event_id)
    assert client.delete_item("a/b c%?").ids == ("a/b c%?",)
    assert client.get_item("mug").price_micros == 9_990_000
    trend: Slate = client.trending(TrendingQuery(5, "pots & pans"))
    assert (trend.items[0].item_id, trend.items[0].position) == ("pots & pans", 5)
    live: Livez = client.livez()
    health: Healthz = client.healthz()
    assert live.live and health.model_version == 0


class MoreRoutes(Routes):
    """The table with one more row."""

    newest = Get[dict[str, list[str]]](path="/v1/newest", answer=dict[str, list[str]], scope="read")


class ItsReplica(BareReplica):
    """A replica with one more method."""

    def newest(self, may_read: bool) -> Answer:
        """The items that came last."""
        return json_response({"items": ["mug"]})


class ItsClient(MoreRoutes, Client):
    """A client of that table: nothing is added to it."""


def test_a_route_is_a_row_and_a_method_and_all_else_follows() -> None:
    with served(ItsReplica(), table=MoreRoutes) as address, ItsClient(address) as client:
        assert client.newest() == {"items": ["mug"]}
    table = routes(ItsReplica(), MoreRoutes)
    router = Router(table, Bodies(timeout_s=1), door())
    wrong = answer_to(router, "DELETE", "/v1/newest")
    assert wrong.status_code == 405 and wrong.headers["allow"] == "GET, HEAD, OPTIONS"
    operation = openapi_document(table)["paths"]["/v1/newest"]["get"]
    assert operation["summary"] == "The items that came last."


def test_what_is_wrong_with_a_request_is_an_error_with_its_field(client: Client) -> None:
    with pytest.raises(RequestRefused, match=r"GET /v1/trending\?num_items=0 .*") as asked:
        client.trending(TrendingQuery(num_items=0))
    assert asked.value.status == 422 and asked.value.fault.field == "num_items"
    with pytest.raises(
        RequestRefused, match=r"POST /v1/recommend answered 422: .*num_items"
    ) as told:
        client.recommend(RecommendRequest(user_id="ann", num_items=0))
    assert told.value.status == 422 and told.value.fault.field == "num_items"
    assert isinstance(told.value, ApiError) and isinstance(told.value, HeadraceError)


def test_a_key_is_sent_and_one_that_is_wrong_is_an_error_of_its_own() -> None:
    secret, key = issue("shop", ("read",), NOW_MS)
    keyring = Keyring(Shelf(key), lambda: NOW_MS)
    keyring.refresh()
    with served(BareReplica(), door(keyring, auth="required")) as address:
        with Client(address, key=secret) as client:
            assert client.healthz().namespace == "headrace"
            with pytest.raises(KeyRefused, match="403") as told:
                client.post_events(CLICK)
            assert told.value.status == 403
        with Client(address) as client, pytest.raises(KeyRefused, match="401"):
            client.recommend(RecommendRequest(user_id="ann"))


class Time:
    """A clock that only pauses move."""

    def __init__(self) -> None:
        self.now_s, self.pauses_s = 100.0, list[float]()

    def __call__(self) -> float:
        return self.now_s

    def pause(self, pause_s: float) -> None:
        self.pauses_s.append(pause_s)
        self.now_s += pause_s


def not_now(status: int, retry_after: str | None, times: int) -> Any:
    """Answers "not now" so often, then a slate."""
    left = [times]

    def answered(method: str, path: str, headers: Mapping[str, str], body: bytes) -> Response:
        left[0] -= 1
        if left[0] >= 0:
            told = {} if retry_after is None else {"Retry-After": retry_after}
            return json_response({"error": "busy", "event_ids": ["e1"]}, status, told)
        user_id = msgspec.json.decode(body)["user_id"]
        return json_response(Slate("r", user_id, 0, None, (), {}, ()))

    return answered


@pytest.mark.parametrize(
    ("status", "retry_after", "wait_s"),
    [(503, "2", 2.0), (429, "3", 3.0), (503, None, 1.0), (503, "Wed, 21 Oct 2026 07:28:00", 1.0)],
)
def test_a_request_that_is_not_for_now_is_sent_again_after_the_pause_that_was_asked_for(
    status: int, retry_after: str | None, wait_s: float
) -> None:
    at = Time()
    with http_server(not_now(status, retry_after, times=2)) as address:
        client = Client(address, timeout_s=7.0, clock=at, pause=at.pause)
        assert client.recommend(RecommendRequest(user_id="ann")).user_id == "ann"
    assert at.pauses_s == [wait_s, wait_s]


def test_a_pause_that_would_outlast_the_time_of_the_call_is_an_error_at_once() -> None:
    at = Time()
    with http_server(not_now(503, "5", times=9)) as address:
        client = Client(address, timeout_s=12.0, clock=at, pause=at.pause)
        with pytest.raises(Busy, match="503: busy") as told:
            client.recommend(RecommendRequest(user_id="ann"))
    assert at.pauses_s == [5.0, 5.0]
    assert told.value.retry_after_s == 5.0 and told.value.fault.event_ids == ("e1",)


def test_a_failure_of_the_servers_is_not_sent_again() -> None:
    at = Time()
    with http_server(not_now(500, "1", times=9)) as address:
        with pytest.raises(ApiError, match="500") as told:
            Client(address, clock=at, pause=at.pause).recommend(RecommendRequest(user_id="ann"))
    assert type(told.value) is ApiError and not at.pauses_s


def test_a_page_of_a_proxy_and_another_answer_are_told_as_they_are() -> None:
    pages = {"/livez": Response(b"<h1>Bad gateway</h1>", 502), "/healthz": Response(b"[]", 200)}
    with http_server(lambda method, path, *_: pages[path]) as address, Client(address) as client:
        with pytest.raises(ApiError, match=r"502: <h1>Bad gateway</h1>"):
            client.livez()
        with pytest.raises(Unanswered, match="another version of headrace"):
            client.healthz()


def test_nobody_at_the_address_is_an_error_that_names_it() -> None:
    address = f"http://{LOOPBACK}:{free_port()}"
    with Client(address) as client, pytest.raises(Unanswered, match=f"at {address} .*is it runn"):
        client.livez()


def test_a_certificate_is_trusted_where_its_file_is_named_and_not_otherwise(tmp_path: Path) -> None:
    pem = tmp_path / "both.pem"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    names = ["-nodes", "-subj", "/CN=shop", "-addext", f"subjectAltName=IP:{LOOPBACK}"]
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    subprocess.run([*words, *names, *files], check=True, capture_output=True)
    pem.write_text((tmp_path / "cert.pem").read_text() + (tmp_path / "key.pem").read_text())
    with http_server(lambda *_: json_response(Livez()), pem) as address:
        with Client(address, ca_file=str(tmp_path / "cert.pem")) as client:
            assert client.livez() == Livez()
        with (
            Client(address) as client,
            pytest.raises(Unanswered, match="certificate verify failed"),
        ):
            client.livez()
