"""The variables of settings: which there are, which field each sets, and which are none.

A variable is `HEADRACE_<FIELD>`, flat: no room is in its name. The fields of Kafka's room begin
with `kafka_`; the two addresses have the names that the field uses everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

import msgspec

from headrace.settings.room import SECRETS, Room

PREFIX: Final = "HEADRACE_"
ALIASES: Final = {"redis_url": "REDIS_URL", "kafka_bootstrap": "KAFKA_BOOTSTRAP"}
FIELD_PREFIXES: Final = {"kafka": "kafka_"}  # by room
FORMER: Final = {"HEADRACE_TOKEN_TABLES": "HEADRACE_VECTOR_TABLES"}  # by names that they had
NO_SETTINGS: Final = frozenset(
    {
        "HEADRACE_CI_RUN",  # in all processes of a CI step
        "HEADRACE_OWN_RAY",  # in all processes of a Ray that headrace started
        "HEADRACE_OWNER",  # in all processes that a run started
        "HEADRACE_TEST_DATA",  # larger data, for tests
    }
)
# Kubernetes gives a container the addresses of each service of its namespace, so also of those that
# are called headrace or headrace-redis. HEADRACE_PORT is a setting unless it is such an address.
_PROTOCOLS: Final = "tcp|udp|sctp"
_OF_KUBERNETES: Final = re.compile(
    r"HEADRACE_(\w+_)?(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_PORT_OF_KUBERNETES: Final = re.compile(rf"HEADRACE_(\w+_)?PORT=({_PROTOCOLS})://\S+")


@dataclass(frozen=True, slots=True)
class Field:
    """A setting: its flat name, the room that it is in (empty: none), its name there, its type."""

    name: str
    room: str
    attribute: str
    kind: Any

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return variable(self.name)

    @property
    def is_secret(self) -> bool:
        """Whether it is never printed."""
        return self.attribute in SECRETS

    def of(self, settings: Room) -> Any:
        """Its value in these settings."""
        return getattr(getattr(settings, self.room) if self.room else settings, self.attribute)


def fields_of(kind: type[Room], room: str = "") -> Iterator[Field]:
    """The fields of a room and of the rooms in it."""
    for field in msgspec.structs.fields(kind):
        if isinstance(field.type, type) and issubclass(field.type, Room):
            yield from fields_of(field.type, field.name)
        else:
            name = FIELD_PREFIXES.get(room, "") + field.name
            yield Field(name, room, field.name, field.type)


def variable(name: str) -> str:
    """The environment variable that sets the field of this flat name."""
    return ALIASES.get(name, f"{PREFIX}{name.upper()}")


def given_in(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that set settings, or mean to: those that are empty set none."""
    return {
        name: text
        for name, text in environ.items()
        if text
        and (name.startswith(PREFIX) or name in ALIASES.values())
        and name not in NO_SETTINGS
        and not _is_of_kubernetes(name, text)
    }


def unknown_variable(name: str, known: Iterable[str]) -> str:
    """The error for a variable of headrace's that is none of the known ones."""
    if name in FORMER:
        return f"{name} is called {FORMER[name]} now: set that instead, and unset {name}"
    by_end = {one.removeprefix(PREFIX): one for one in known}
    close = get_close_matches(name.removeprefix(PREFIX), by_end, n=1)
    advice = f"did you mean {by_end[close[0]]}?" if close else "unset it; docs/settings.md has all"
    return f"{name}: there is no such setting; {advice}"


def _is_of_kubernetes(name: str, text: str) -> bool:
    is_address = _PORT_OF_KUBERNETES.fullmatch(f"{name}={text}")
    return bool(is_address or _OF_KUBERNETES.fullmatch(name))
