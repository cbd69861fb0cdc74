"""The text of settings: read as a value, and checked before it is put into paths, URIs, YAML and
the names of topics.

Lists are names with commas between, weights are `name=number` with commas between. Whatever is
printable in one line is quoted where it is used; what no quoting could save is refused.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args, get_origin

import msgspec

from headrace.action import PREDICTED
from headrace.errors import ConfigError
from headrace.settings.seen import seen_policy

NAMESPACE: Final = re.compile(r"[a-z0-9][a-z0-9_]{0,47}")
WILDCARDS: Final = "*?["  # in the path of a Parquet file, for the reader that Feast uses
URI: Final = re.compile(r"[a-z][a-z0-9+.-]*://.|/", re.IGNORECASE)


def value_of(field: str, kind: Any, text: str) -> Any:
    """The value of a setting of this type; raises `ConfigError` with the form that is expected."""
    require_text(field, text)
    form = _form(kind)
    try:
        given = {tuple: _names, dict: _weights}.get(form, str)(text)
        return msgspec.convert(given, kind, strict=False)
    except ValueError as error:  # of msgspec, or of a weight
        raise ConfigError(_expected(kind) or str(error)) from None


def text_of(value: Any) -> str:
    """The text that `value_of` reads as this value."""
    if isinstance(value, dict):
        return ",".join(f"{name}={weight}" for name, weight in value.items())
    return ",".join(value) if isinstance(value, tuple | list) else str(value)


def require_text(field: str, text: str) -> None:
    """Raises `ConfigError` with the allowed form if a setting cannot have this text."""
    hidden = sorted({character for character in text if not character.isprintable()})
    if hidden:
        raise ConfigError(
            f"it has {', '.join(map(ascii, hidden))}: expected printable characters in one line"
        )
    if field == "namespace" and not NAMESPACE.fullmatch(text):
        raise ConfigError(
            "Expected 1 to 48 of a-z, 0-9 and _, the first of them no _, such as shop_2024: topics "
            "and keys begin with it, and it is the name of Feast's project"
        )
    if field == "seen":
        seen_policy(text)
    if field == "home":
        _require_path(text)
    if field == "model_registry" and not URI.match(text):
        raise ConfigError("Expected a URI such as s3://bucket/models, or an absolute path")


def require_home(home: Path) -> None:
    """Raises `ConfigError` unless this is a folder that can be written, or can become one. A folder
    that it makes is its user's alone."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = home / ".writable"
        probe.touch()
        probe.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(
            f"HEADRACE_HOME={str(home)!r} cannot be written ({error.strerror or error}): expected "
            "a folder for the catalogue, registry, models and checkpoints; name another"
        ) from None


def _require_path(text: str) -> None:
    try:
        path = str(Path(text).expanduser().resolve())
    except (RuntimeError, OSError) as error:
        raise ConfigError(f"{error}: expected the path of a folder") from None
    found = [wildcard for wildcard in WILDCARDS if wildcard in path]
    if found or "::" in path:
        raise ConfigError(
            f"the path {path!r} has {' '.join(found) or '::'}, which Feast takes for more than a "
            f"name: expected a path without {' '.join(WILDCARDS)} and ::"
        )


def _form(kind: Any) -> Any:
    """The type's origin, such as `tuple` of `tuple[str, ...]`; None for a plain type."""
    return get_origin(get_args(kind)[0] if get_origin(kind) is Annotated else kind)


def _names(text: str) -> tuple[str, ...]:
    """The names between commas."""
    return tuple(name for part in text.split(",") if (name := part.strip()))


def _weights(text: str) -> dict[str, float]:
    """The weights by name; raises `ValueError` for a text that has none, or one twice."""
    pairs = [part.partition("=") for part in _names(text)]
    weights = {name.strip(): float(weight) for name, _, weight in pairs}
    if not weights or len(weights) < len(pairs) or not all(map(math.isfinite, weights.values())):
        raise ValueError(text)
    return weights


def _expected(kind: Any) -> str:
    """The expected form of a setting, where its type alone does not say it."""
    form = _form(kind)
    if form is Literal:
        return f"expected {', '.join(get_args(kind))}"
    if form is dict:
        example = ",".join(f"{name}=1" for name in PREDICTED[:2])
        return f"expected weights of heads such as {example!r}"
    return f"expected names such as {','.join(PREDICTED)!r}" if form is tuple else ""
