"""The OpenAPI document: every route is in it, and requests and answers are as it says."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from bare_replica import BareReplica
from http_door import answer_to, door
from jsonschema import Draft202012Validator, ValidationError

from serving.http.body import Bodies
from serving.http.route import Route
from serving.http.router import Router
from serving.http.routes import routes

JSON = {"content-type": "application/json"}
CLICK = {"type": "click", "user_id": "ann", "item_id": "mug"}
MUG = {
    "item_id": "mug",
    "title": "A mug",
    "categories": ["kitchen"],
    "attributes": {"colour": "red", "sizes": [1, 2.5], "new": True},
    "price_micros": 9_990_000,
    "currency": "EUR",
    "stock": 3,
    "available_from_ms": 1_714_554_000_000,
    "available_until_ms": 1_814_554_000_000,
    "min_age": 18,
}
SHOWN = {"type": "impression", "user_id": "ann", "request_id": "r", "items": [{"item_id": "mug"}]}


@pytest.fixture(scope="module")
def table() -> tuple[Route, ...]:
    return routes(BareReplica())


@pytest.fixture(scope="module")
def document(table: tuple[Route, ...]) -> Any:
    response = answered(table, "GET", "/openapi.json")
    assert response.status_code == 200 and response.media_type == "application/json"
    return msgspec.json.decode(response.body)


def answered(table: tuple[Route, ...], method: str, path: str, sent: object = None) -> Any:
    router = Router(table, Bodies(timeout_s=1), door())
    return answer_to(router, method, path, JSON, [msgspec.json.encode(sent)])


def check(document: Any, schema: Any, value: object) -> None:
    """Raises `ValidationError` unless the value is as a schema of the document says."""
    Draft202012Validator({**schema, "components": document["components"]}).validate(value)


def named(path: str) -> str:
    """The path of the document: one that ends with an id has a name there."""
    return path.replace("/mug", "/{id}").replace("/ann", "/{id}")


def body_of(part: Any) -> Any:
    return part["content"]["application/json"]["schema"]


def test_every_route_is_in_the_document_and_nothing_else(
    table: tuple[Route, ...], document: Any
) -> None:
    described = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
    }
    assert described == {(route.method, route.path) for route in table}
    assert document["openapi"] == "3.1.0" and document["info"]["version"]
    ids = [one["operationId"] for path in document["paths"].values() for one in path.values()]
    assert len(set(ids)) == len(table) and "post_v1_recommend" in ids


def test_each_operation_says_its_scope_its_body_and_its_statuses(
    table: tuple[Route, ...], document: Any
) -> None:
    for route in table:
        operation = document["paths"][route.path][route.method.lower()]
        has_body = route.method not in ("GET", "DELETE")
        assert ("requestBody" in operation) == (route.request is not None) == has_body
        takes = route.path.endswith("{id}") or route.query is not None
        assert ("parameters" in operation) == takes
        scopes = {
            scope for way in operation.get("security", ()) for of in way.values() for scope in of
        }
        assert scopes == ({route.scope} if route.scope != "open" else set())
        assert operation["responses"].keys() == {str(route.status), "default"}
    slate = document["paths"]["/v1/recommend"]["post"]
    assert slate["summary"] == "A slate; its impression goes to the log behind it."


def test_every_schema_is_one_and_every_reference_leads_to_one(document: Any) -> None:
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    named = set(document["components"]["schemas"])
    text = msgspec.json.encode(document).decode()
    told = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert told <= named and {"RecommendRequest", "ClickEvent", "Fault"} <= told


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        ("POST", "/v1/recommend", {"user_id": "ann", "num_items": 3, "exclude": ["cup"]}),
        ("POST", "/v1/rank", {"user_id": "ann", "items": ["mug"], "explain": True}),
        ("POST", "/v1/similar", {"items": ["mug"], "user_id": "ann"}),
        ("GET", "/v1/trending", None),
        ("POST", "/v1/ads", {"user_id": "ann"}),
        ("POST", "/v1/events", CLICK),
        ("POST", "/v1/events", [CLICK, SHOWN]),
        ("PUT", "/v1/items", MUG),
        ("PUT", "/v1/items", [MUG, {"item_id": "cup"}]),
        ("PATCH", "/v1/items", {"item_id": "mug", "stock": None, "attributes": {"colour": None}}),
        ("GET", "/v1/items/mug", None),
        ("DELETE", "/v1/items/mug", None),
        ("PUT", "/v1/users", {"user_id": "ann", "attributes": {"age": 40, "likes": ["a", "b"]}}),
        ("PATCH", "/v1/users", [{"user_id": "ann", "attributes": {"age": 41}}]),
        ("GET", "/v1/users/ann", None),
        ("DELETE", "/v1/users/ann", None),
        ("GET", "/livez", None),
        ("GET", "/readyz", None),
        ("GET", "/healthz", None),
        ("GET", "/openapi.json", None),
    ],
)
def test_requests_and_answers_are_as_the_document_says(
    table: tuple[Route, ...], document: Any, method: str, path: str, sent: object
) -> None:
    operation = document["paths"][named(path)][method.lower()]
    if sent is not None:
        check(document, body_of(operation["requestBody"]), sent)
    response = answered(table, method, path, sent)
    schema = body_of(operation["responses"][str(response.status_code)])
    check(document, schema, msgspec.json.decode(response.body))


@pytest.mark.parametrize(
    ("method", "path", "sent", "status"),
    [
        ("POST", "/v1/recommend", {"user_id": "ann", "num_items": 0}, 422),
        ("POST", "/v1/recommend", {"user": "ann"}, 422),
        ("POST", "/v1/rank", {"user_id": "ann", "items": []}, 422),
        ("POST", "/v1/similar", {"user_id": "ann"}, 422),
        ("POST", "/v1/ads", {"user_id": "ann", "num_ads": 11}, 422),
        ("POST", "/v1/events", [], 422),
        ("POST", "/v1/events", {"type": "view", "user_id": "ann", "item_id": "mug"}, 422),
        ("PUT", "/v1/items", {**MUG, "stock": -1}, 422),
        ("PUT", "/v1/items", {**MUG, "currency": "euro"}, 422),
        ("PUT", "/v1/items", [], 422),
        ("PATCH", "/v1/items", {"item_id": "mug", "price": 3}, 422),
        ("PUT", "/v1/users", {"user_id": ""}, 422),
    ],
)
def test_what_is_refused_is_not_as_the_document_says(
    table: tuple[Route, ...], document: Any, method: str, path: str, sent: object, status: int
) -> None:
    operation = document["paths"][path][method.lower()]
    with pytest.raises(ValidationError):
        check(document, body_of(operation["requestBody"]), sent)
    response = answered(table, method, path, sent)
    assert response.status_code == status
    fault = msgspec.json.decode(response.body)
    check(document, body_of(operation["responses"]["default"]), fault)
    assert fault["error"] and fault["field"]


def test_events_that_were_not_taken_have_their_ids_in_the_fault(
    table: tuple[Route, ...], document: Any
) -> None:
    response = answered(table, "POST", "/v1/events", {**CLICK, "user_id": "nobody"})
    fault = msgspec.json.decode(response.body)
    check(document, {"$ref": "#/components/schemas/Fault"}, fault)
    assert response.status_code == 503 and fault["event_ids"] == ["e1"]
