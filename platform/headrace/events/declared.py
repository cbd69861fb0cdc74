"""The declared inputs of this process: the context of requests, and numbers of items.

A context is told with a request and an impression, by name: {"device": "phone", "hour": 13}. Over
HTTP a field that nobody declared is refused; in the log it is passed over, so that what was logged
before a field was taken out stays readable.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from headrace.application.current import APPLICATION
from headrace.application.declared import NUMBER, WORD, Field
from headrace.keys import key

CONTEXT: Final = {field.name: field for field in APPLICATION.context}
WORDS: Final = tuple(name for name, field in CONTEXT.items() if field.kind == WORD)
NUMBERS: Final = tuple(name for name, field in CONTEXT.items() if field.kind == NUMBER)
ATTRIBUTES: Final = tuple(field.name for field in APPLICATION.attributes)
LOCALE: Final = APPLICATION.locale  # names of items' attributes
ATTRIBUTE_LIMITS: Final = tuple(field.greatest for field in APPLICATION.attributes)

NUM_WORD_CODES: Final = 256  # a byte; 0: the word is not told

Told = Mapping[str, Any]  # as it came: words and numbers by name


def fault_of(told: Told) -> tuple[str, str] | None:
    """The first field of a context that is wrong, and why; None where all are as declared."""
    for name, value in told.items():
        if name not in CONTEXT:
            known = ", ".join(CONTEXT) or "none"
            return str(name)[:64], f"a field of the context that is not declared, known: {known}"
        if value is not None and (reason := _wrong(value, CONTEXT[name])):
            return name, reason
    return None


def as_declared(told: Told | None) -> dict[str, str | float]:
    """The fields that are told as they are declared."""
    if not told:
        return {}
    return {
        name: value
        for name, value in told.items()
        if value is not None and name in CONTEXT and not _wrong(value, CONTEXT[name])
    }


def word_keys(told: Told | None) -> tuple[int, ...]:
    """The keys of the words, which the ranker reads."""
    found = as_declared(told)
    return tuple(key(f"context:{name}={found[name]}") for name in WORDS if name in found)


def word_codes(told: Told | None) -> tuple[int, ...]:
    """[W]: the byte that stands for each word in states, 0 where it is not told; two of five words
    share one with probability .04."""
    if not WORDS:
        return ()
    found = as_declared(told)
    codes = (key(str(found[name])) % (NUM_WORD_CODES - 1) + 1 if name in found else 0
             for name in WORDS)  # fmt: skip
    return tuple(codes)


def numbers(told: Told | None) -> list[float]:
    """[K]: each number, NaN where it is not told."""
    found = as_declared(told) if NUMBERS else {}
    return [float(found.get(name, math.nan)) for name in NUMBERS]


def _wrong(value: object, field: Field) -> str:
    """Why a value is none of this field; empty where it is one."""
    if field.kind == WORD:
        if not isinstance(value, str):
            return f"got {str(value)[:40]!r}, expected text"
        if not 0 < len(value) <= field.max_length:
            return f"got {len(value)} characters, expected 1 to {field.max_length}"
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"got {str(value)[:40]!r}, expected a number"
    if not abs(value) <= field.greatest:
        return f"got {value:g}, expected a number from -{field.greatest:g} to {field.greatest:g}"
    return ""
