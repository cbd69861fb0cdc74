"""Every type that the stock Redis store keeps comes back from the packed store as from that one."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from decimal import Decimal as Number
from typing import Any

import pytest
from backends import PACKED, STOCK_REDIS, Repo
from feast import types
from feast.online_response import OnlineResponse
from feast.types import Array, FeastType, Set, Struct

SOME_TIME = datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC)
SOME_UUID = "12345678-1234-5678-1234-567812345678"
USERS = ["a", "b", "c"]

# Three values of each type, in the form that Feast takes from a data frame: it takes no empty bytes
# at first, no empty list in a list, and maps only of the same keys.
VALUES: dict[str, tuple[FeastType, list[Any]]] = {
    "float32": (types.Float32, [0.5, -1.25, 0.0]),
    "float64": (types.Float64, [0.1, -1e300, float("inf")]),
    "int32": (types.Int32, [0, 2**31 - 1, -(2**31)]),
    "int64": (types.Int64, [0, 2**63 - 1, -(2**63)]),
    "bool": (types.Bool, [True, False, True]),
    "string": (types.String, ["", "naïve 数", "a\0b"]),
    "bytes": (types.Bytes, [b"\x00\xff", b"", b"abc"]),
    "image": (types.ImageBytes, [b"\x89PNG", b"\x00", b"abc"]),
    "unix_timestamp": (types.UnixTimestamp, [SOME_TIME] * 3),
    "json": (types.Json, ['{"a": 1}', "[]", '"text"']),
    "uuid": (types.Uuid, [SOME_UUID] * 3),
    "time_uuid": (types.TimeUuid, [SOME_UUID] * 3),
    "decimal": (types.Decimal, [Number("1.10"), Number("-3"), Number("0")]),
    "map": (types.Map, [{"a": "b"}, {"a": ""}, {"a": "数"}]),
    "float32_list": (Array(types.Float32), [[0.5, -1.5], [], [3.0]]),
    "float64_list": (Array(types.Float64), [[0.1], [], [2.0, 3.0]]),
    "int32_list": (Array(types.Int32), [[1, -2], [], [3]]),
    "int64_list": (Array(types.Int64), [[2**62], [], [1, 2, 3]]),
    "bool_list": (Array(types.Bool), [[True, False], [], [False]]),
    "string_list": (Array(types.String), [["a", "", "数"], [], ["b"]]),
    "bytes_list": (Array(types.Bytes), [[b"\x00", b""], [], [b"c"]]),
    "unix_timestamp_list": (Array(types.UnixTimestamp), [[SOME_TIME], [], [SOME_TIME] * 2]),
    "uuid_list": (Array(types.Uuid), [[SOME_UUID], [], [SOME_UUID] * 2]),
    "int64_set": (Set(types.Int64), [{1, 2}, {3}, {-4}]),
    "string_set": (Set(types.String), [{"a", "b"}, {"c"}, {""}]),
    "nested_list": (Array(Array(types.Int64)), [[[1, 2], [5]], [[3]], [[4]]]),
    "struct": (Struct({"a": types.Int64}), [{"a": 1}, {"a": 2}, {"a": 3}]),
}
# What Feast gives back in another form than it took.
READ_AS: dict[str, list[Any]] = {
    "json": [{"a": 1}, [], "text"],
    "uuid": [uuid.UUID(SOME_UUID)] * 3,
    "time_uuid": [uuid.UUID(SOME_UUID)] * 3,
    "uuid_list": [[uuid.UUID(SOME_UUID)], [], [uuid.UUID(SOME_UUID)] * 2],
}
EXPECTED = {name: READ_AS.get(name, values) for name, (_, values) in VALUES.items()}
REFERENCES = [f"typed:{name}" for name in VALUES]


def typed(repo: Repo) -> Repo:
    repo.view("typed", {name: dtype for name, (dtype, _) in VALUES.items()})
    repo.apply()
    return repo


def test_values_of_every_type_come_back_in_any_order(repo: Repo) -> None:
    typed(repo).write("typed", user_id=USERS, **{n: values for n, (_, values) in VALUES.items()})
    answer = repo.read(REFERENCES, user_id=USERS)
    assert {name: answer[name] for name in VALUES} == EXPECTED
    answer = repo.read(REFERENCES[::-1], user_id=["c", "a"])
    assert {name: answer[name] for name in VALUES} == {
        name: [values[2], values[0]] for name, values in EXPECTED.items()
    }


def test_a_null_of_every_type_is_none_beside_values(repo: Repo) -> None:
    some = {name: [values[0], None, values[2]] for name, (_, values) in VALUES.items()}
    typed(repo).write("typed", user_id=USERS, **some)
    answer = repo.read(REFERENCES, user_id=USERS)
    assert {name: answer[name] for name in VALUES} == {
        name: [values[0], None, values[2]] for name, values in EXPECTED.items()
    }


@pytest.mark.parametrize("nulls", [False, True], ids=["values", "nulls"])
def test_the_answer_is_the_stock_redis_stores_message_for_message(
    new_repo: Any, nulls: bool
) -> None:
    messages = []
    for kind in (STOCK_REDIS, PACKED):
        repo = typed(new_repo(kind))
        values = {n: [v[0], None if nulls else v[1], v[2]] for n, (_, v) in VALUES.items()}
        repo.write("typed", user_id=USERS, **values)
        rows = [{"user_id": user} for user in USERS]
        answer = repo.store.get_online_features(features=REFERENCES, entity_rows=rows)
        messages.append(answer.proto)
        assert repr(answer.to_dict(True)) == repr(OnlineResponse.to_dict(answer, True))
    assert messages[0] == messages[1]
