"""The text of settings, checked before it is put into paths, URIs, YAML and the names of topics.

Whatever is printable in one line is quoted where it is used; what no quoting could save is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

from headrace.errors import ConfigError

NAMESPACE: Final = re.compile(r"[a-z0-9][a-z0-9_]{0,47}")
WILDCARDS: Final = "*?["  # in the path of a Parquet file, for the reader that Feast uses
URI: Final = re.compile(r"[a-z][a-z0-9+.-]*://.|/", re.IGNORECASE)
FORMER: Final = {"HEADRACE_TOKEN_TABLES": "HEADRACE_VECTOR_TABLES"}  # variables of other names now


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


def expected_names(kind: Any) -> str:
    """The names that a setting may have, where its type is one of a few; else nothing."""
    return f"expected {', '.join(get_args(kind))}" if get_origin(kind) is Literal else ""


def former_names(environ: Mapping[str, str]) -> list[str]:
    """A line for each variable that is set by a name that it has no longer."""
    return [
        f"{former} is called {now} now: set {now} instead, and unset {former}"
        for former, now in FORMER.items()
        if environ.get(former)
    ]
