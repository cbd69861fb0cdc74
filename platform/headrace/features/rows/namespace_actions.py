"""The actions of a namespace, remembered beside its rows: histories hold them as bits.

An action may be added at the end. A bit that would mean another action is refused, so that a part
that is started without the application file of the others changes nothing.
"""

from __future__ import annotations

import msgspec
from redis import Redis

from headrace.access.own_key import read_key, write_key
from headrace.action import ACTIONS
from headrace.config import Settings
from headrace.errors import ActionsMismatch
from headrace.settings.variables import variable
from headrace.skipped import Skipped

Names = tuple[str, ...]


def bind_actions(settings: Settings) -> None:
    """Remember the actions of a namespace, and those that came at the end since; raises
    `ActionsMismatch` where this process has others."""
    redis, skipped = Redis.from_url(settings.redis_url), Skipped()
    name = f"{settings.namespace}:actions"
    known = _decoded(read_key(name, lambda: redis.get(name), None, skipped))
    if known[: len(ACTIONS)] != ACTIONS[: len(known)] or len(known) > len(ACTIONS):
        raise ActionsMismatch(
            f"namespace {settings.namespace} has the actions {', '.join(known)}, and these are "
            f"{', '.join(ACTIONS)}: its histories hold them as bits. Name the application file "
            f"that it has ({variable('app')}, --app), add actions at the end only, or begin "
            f"another namespace ({variable('namespace')})"
        )
    if known != ACTIONS:
        text = msgspec.json.encode(ACTIONS)
        write_key(redis, name, lambda: redis.set(name, text), skipped)


def _decoded(text: bytes | None) -> Names:
    """The actions in Redis; none where nothing, or nothing that can be read, is there."""
    try:
        return msgspec.json.decode(text or b"[]", type=Names)
    except msgspec.MsgspecError:
        return ()
