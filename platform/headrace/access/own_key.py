"""Keys of headrace's own in Redis, where another kind of value may lie than headrace puts there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from redis import Redis
from redis.exceptions import ResponseError

from headrace.skipped import Skipped, shortened

Value = TypeVar("Value")
WRONG_KIND = "WRONGTYPE"  # what Redis says then


def read_key(name: str, read: Callable[[], Value], otherwise: Value, skipped: Skipped) -> Value:
    """The result of `read`; `otherwise`, and counted, where the key holds another kind of value."""
    try:
        return read()
    except ResponseError as error:
        if WRONG_KIND not in str(error):
            raise
        skipped.add(name, "another kind of value", f"key {name} in Redis: {shortened(error)}")
        return otherwise


def write_key(redis: Redis, name: str, write: Callable[[], Value], skipped: Skipped) -> Value:
    """The result of `write`. Where the key holds another kind of value, this is deleted first: for
    data that a part writes again and again, and never for data that cannot be made anew."""
    try:
        return write()
    except ResponseError as error:
        if WRONG_KIND not in str(error):
            raise
        skipped.add(name, "another kind of value, deleted", f"key {name} in Redis")
        redis.delete(name)
        return write()
