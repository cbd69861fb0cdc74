"""The OpenAPI document: the table of routes, for generators of clients and for readers."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any, Final, get_args

import msgspec

from headrace import __version__
from headrace.api.events import FILLED
from headrace.api.fault import Fault
from headrace.event import MAX_ID, Event
from serving.http.route import Route

REFERENCE: Final = "#/components/schemas/{name}"
FAULT: Final = {"$ref": REFERENCE.format(name=Fault.__name__)}
KEYS: Final = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}

Document = dict[str, Any]


def openapi_document(table: Sequence[Route]) -> Document:
    """The OpenAPI 3.1 document of these routes, with the schemas of their types."""
    schema_of, components = _schemas([*_types(table), Fault])
    paths: dict[str, Document] = {}
    for route in table:
        operation = _operation(route, schema_of, components)
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "headrace", "version": __version__},
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": KEYS},
    }


def _types(table: Sequence[Route]) -> Iterator[Any]:
    for route in table:
        yield route.answer
        if route.request is not None:
            yield route.request
        if route.query is not None:
            yield route.query


def _schemas(types: Sequence[Any]) -> tuple[dict[Any, Document], dict[str, Document]]:
    """The schema of each type, and those by name that they refer to.

    A client may leave out of an event what is filled in for it.
    """
    schemas, components = msgspec.json.schema_components(types, ref_template=REFERENCE)
    for schema in components.values():
        if "description" in schema:
            schema["description"] = inspect.cleandoc(schema["description"])
    for event in get_args(Event):
        if schema := components.get(event.__name__):
            schema["required"] = [name for name in schema["required"] if name not in FILLED]
    return dict(zip(types, schemas, strict=True)), components


def _operation(
    route: Route, schema_of: dict[Any, Document], components: dict[str, Document]
) -> Document:
    operation: Document = {
        "operationId": "_".join([route.method.lower(), *_words(route.path)]),
        "summary": (inspect.getdoc(route.handler) or "").partition("\n\n")[0].replace("\n", " "),
        "responses": {
            str(route.status): _json("a success", schema_of[route.answer]),
            "default": _json("a problem", FAULT),
        },
    }
    if route.request is not None:
        body = _json("the request", schema_of[route.request])
        operation["requestBody"] = {"required": True, **body}
    if route.prefix:
        text = {"type": "string", "minLength": 1, "maxLength": MAX_ID}
        operation["parameters"] = [{"name": "id", "in": "path", "required": True, "schema": text}]
    if route.query is not None:
        operation["parameters"] = _parameters(schema_of[route.query], components)
    if route.scope != "open":  # without a key where none is required
        operation["security"] = [{name: [route.scope]} for name in KEYS] + [{}]
    return operation


def _parameters(schema: Document, components: dict[str, Document]) -> list[Document]:
    """The parameters of a query, one for each field of its type."""
    fields = components[schema["$ref"].rpartition("/")[2]]
    required = fields.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in required, "schema": one}
        for name, one in fields["properties"].items()
    ]


def _words(path: str) -> list[str]:
    return path.strip("/").replace("{", "").replace("}", "").split("/")


def _json(description: str, schema: Document) -> Document:
    return {"description": description, "content": {"application/json": {"schema": schema}}}
