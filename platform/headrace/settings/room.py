"""The base of settings' rooms: frozen, without unknown fields, and silent about secrets."""

from __future__ import annotations

from typing import Any, Final

import msgspec

SECRET: Final = "***"
SECRETS: Final = ("password", "own_key")
_MASKED: Final = (*SECRETS, "redis_url")  # a URL may hold a password


class Room(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of one part of headrace; printed without its secrets."""

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({shown})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """The names and values of the fields, secrets masked."""
        fields = [(name, getattr(self, name)) for name in self.__struct_fields__]
        return [(name, SECRET if v and name in _MASKED else v) for name, v in fields]
