"""Keys and values of a section: read as their types, with the path of each that is wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final, Literal, get_args, get_origin

import msgspec

from headrace.application.document import shown

UNIT_S: Final = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([dhms])")
FOR_EVER: Final = "forever"
WORDS: Final = {
    "`str`": "text", "`int`": "a whole number", "`float`": "a number", "`bool`": "true or false",
    "`array`": "a list", "`object`": "keys and values",
}  # fmt: skip
_GOT: Final = re.compile(r", got `[^`]*`")


class Duration(float):
    """Seconds, written as 7d, 12h, 30m or 45s."""


def seconds(text: object) -> Duration:
    """The seconds of a duration; raises `ValueError` where it is none, or of no length."""
    if text == FOR_EVER:
        return Duration(math.inf)
    found = DURATION.fullmatch(text) if isinstance(text, str) else None
    length_s = float(found[1]) * UNIT_S[found[2]] if found else 0.0
    if not length_s > 0:
        raise ValueError("expected a duration such as 7d, 12h, 30m or 45s")
    return Duration(length_s)


def value_of(kind: Any, value: object) -> Any:
    """The value of this type; raises `ValueError` saying what was expected."""
    if get_origin(kind) is Literal and value not in get_args(kind):
        raise ValueError(f"expected {', '.join(map(str, get_args(kind)))}")
    try:
        made = msgspec.convert(value, kind, dec_hook=lambda _, text: seconds(text))
    except msgspec.ValidationError as error:
        raise ValueError(_plain(str(error))) from None
    if isinstance(made, float) and not isinstance(made, Duration) and not math.isfinite(made):
        raise ValueError("expected a number")
    return made


def _plain(said: str) -> str:
    """What msgspec expected, in words that are none of Python's."""
    said = _GOT.sub("", said)
    for name, words in WORDS.items():
        said = said.replace(name, words)
    return said[:1].lower() + said[1:]


def keys_of(
    kinds: Mapping[str, Any], section: object, path: str, problems: list[str]
) -> dict[str, Any]:
    """The values in a section by key, without those that say nothing; adds what is wrong."""
    if section is None:
        return {}
    if not isinstance(section, dict):
        problems.append(f"{path}: got {shown(section)}, expected the keys {', '.join(kinds)}")
        return {}
    found: dict[str, Any] = {}
    for key, value in section.items():
        if key not in kinds:
            problems.append(unknown(key, kinds, path))
            continue
        if value is None:
            continue
        try:
            found[key] = value_of(kinds[key], value)
        except ValueError as error:
            problems.append(f"{path}.{key}: got {shown(value)}, {error}")
    return found


def unknown(key: object, known: Iterable[str], path: str = "") -> str:
    """The problem of a key that is none of these, with the one that may have been meant."""
    known = list(known)
    close = get_close_matches(str(key), known, n=1)
    meant = f" (did you mean {close[0]}?)" if close else ""
    prefix = f"{path}." if path else ""
    return f"{prefix}{key}: unknown key{meant}, known here: {', '.join(known)}"
