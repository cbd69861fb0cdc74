"""Lists of users' last items: one value in Redis each, the newest first, an item once.

A list is for what a user was shown, bought or hid, and not for what features are made of: it is no
part of his state and in no worker's memory. An entry is an item's key and a time in seconds, 0 of
what was taken back. Putting items to the front a second time changes nothing.

N users   K items
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from headrace.action import TABLE
from headrace.features.store.round_trip import Command, keys_per_command

USER_SHOWN: Final = "user_shown"  # shown while what comes of it was open
USER_BOUGHT: Final = "user_bought"
USER_HIDES: Final = {  # the list of each action that hides an item, and for how long it does
    f"user_hides_{row.name}": row.hides_s for row in TABLE if row.hides_s
}
LENGTHS: Final = {USER_SHOWN: 64, USER_BOUGHT: 32, **dict.fromkeys(USER_HIDES, 256)}

Entries = NDArray[Any]  # [L] of `ENTRY`
ENTRY: Final = np.dtype([("item", "<i8"), ("time_s", "<u4")])
EMPTY: Final[Entries] = np.zeros(0, ENTRY)

# ARGV: how many items stay, the seconds after which Redis deletes a list (0: never), the size of an
# entry, then per key the entries for its front. What lies there and is no list is replaced.
_TO_FRONT: Final = """
local most, size = tonumber(ARGV[1]), tonumber(ARGV[3])
for place, key in ipairs(KEYS) do
  local stored = redis.pcall('GET', key)
  if type(stored) ~= 'string' or #stored % size ~= 0 then stored = '' end
  local entries, kept, is_kept = ARGV[place + 3] .. stored, {}, {}
  for at = 1, #entries, size do
    local item = string.sub(entries, at, at + 7)
    if not is_kept[item] and #kept < most then
      is_kept[item] = true
      kept[#kept + 1] = string.sub(entries, at, at + size - 1)
    end
  end
  if ARGV[2] == '0' then redis.call('SET', key, table.concat(kept))
  else redis.call('SET', key, table.concat(kept), 'EX', ARGV[2]) end
end
"""


def list_key(project: str, name: str, user_id: str) -> str:
    """The key of a user's list."""
    return f"{quote(project, safe='')}/{name}/user_id={user_id}"


def encode_items(item_key_K: NDArray[np.int64], time_ms_K: NDArray[np.int64]) -> bytes:
    """The entries of items in the order of the log, for the front of a list."""
    entry_K = np.zeros(len(item_key_K), ENTRY)
    entry_K["item"], entry_K["time_s"] = item_key_K[::-1], time_ms_K[::-1] // 1_000
    return entry_K.tobytes()


def decode_items(payload: bytes | None) -> Entries:
    """The entries of a list, none where there is no list; raises `ValueError` for other bytes."""
    return EMPTY if payload is None else np.frombuffer(payload, ENTRY)


def to_front(
    client: Any, name: str, keys: Sequence[str], payloads: Sequence[bytes], ttl_s: int
) -> list[Command]:
    """The commands that put entries to the front of N lists; these expire, unless `ttl_s` is 0."""
    size, commands = keys_per_command(client), list[Command]()
    for start in range(0, len(keys), size):
        some, entries = keys[start : start + size], payloads[start : start + size]
        bounds = LENGTHS[name], ttl_s, ENTRY.itemsize
        commands.append(("EVAL", _TO_FRONT, len(some), *some, *bounds, *entries))
    return commands
