"""Sketches of seen items: fingerprints of what each user was shown, for beyond his exact lists.

One value in Redis each: the last 512 to 1,024 items, the newest last, each as 16 bits of its key
and the day. An item that was never shown has the fingerprint of one that was with probability
1/65,536 each: of all together at most 1.6 %. Items that are appended a second time take room, no
more.

N users   K items
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from headrace.features.store.round_trip import Command, keys_per_command

USER_SEEN: Final = "user_seen"
MOST: Final = 512  # items that are kept at least
DAY_MS: Final = 86_400_000

Sketch = NDArray[Any]  # [K] of `FINGERPRINT`
FINGERPRINT: Final = np.dtype([("item", "<u2"), ("day", "<u2")])

# ARGV: the bytes that stay, the seconds after which Redis deletes a sketch (0: never), the size of
# a fingerprint, then per key those for its end. What lies there and is no sketch is replaced.
_APPEND: Final = """
local most, size = tonumber(ARGV[1]), tonumber(ARGV[3])
for place, key in ipairs(KEYS) do
  local length = redis.pcall('APPEND', key, ARGV[place + 3])
  if type(length) ~= 'number' or length % size ~= 0 then
    redis.call('SET', key, ARGV[place + 3])
  elseif length > 2 * most then
    redis.call('SET', key, redis.call('GETRANGE', key, -most, -1))
  end
  if ARGV[2] == '0' then redis.call('PERSIST', key) else redis.call('EXPIRE', key, ARGV[2]) end
end
"""


def fingerprints(item_key_K: NDArray[np.int64]) -> NDArray[np.uint16]:
    """[K]: 16 bits of the items' keys."""
    return (item_key_K & 0xFFFF).astype(np.uint16)


def encode_sketch(item_key_K: NDArray[np.int64], time_ms_K: NDArray[np.int64]) -> bytes:
    """The fingerprints of items in the order of the log, for the end of a sketch."""
    print_K = np.zeros(len(item_key_K), FINGERPRINT)
    print_K["item"], print_K["day"] = fingerprints(item_key_K), time_ms_K // DAY_MS
    return print_K.tobytes()


def decode_sketch(payload: bytes | None) -> Sketch:
    """The fingerprints of a sketch; raises `ValueError` for other bytes."""
    return np.frombuffer(payload or b"", FINGERPRINT)


def days_of(sketch: Sketch, item_key_K: NDArray[np.int64]) -> NDArray[np.int64]:
    """[K]: the day on which each item was seen last, -1 where it was not."""
    if not len(sketch):
        return np.full(len(item_key_K), -1)
    order = np.argsort(sketch["item"], kind="stable")  # of one item's the newest is the last
    sorted_items, wanted_K = sketch["item"][order], fingerprints(item_key_K)
    place_K = np.maximum(np.searchsorted(sorted_items, wanted_K, "right") - 1, 0)
    day_K = sketch["day"][order][place_K].astype(np.int64)
    return np.where(sorted_items[place_K] == wanted_K, day_K, -1)


def appended(
    client: Any, keys: Sequence[str], payloads: Sequence[bytes], ttl_s: int
) -> list[Command]:
    """The commands that append to N sketches; these expire, unless `ttl_s` is 0."""
    size, commands = keys_per_command(client), list[Command]()
    for start in range(0, len(keys), size):
        some, ends = keys[start : start + size], payloads[start : start + size]
        bounds = MOST * FINGERPRINT.itemsize, ttl_s, FINGERPRINT.itemsize
        commands.append(("EVAL", _APPEND, len(some), *some, *bounds, *ends))
    return commands
