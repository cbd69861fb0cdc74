"""Budgets: money of the campaigns, in Redis; reserved for placed ads, charged for shown ones.

A price is reserved when its ad is placed, so that no campaign places more than it can pay. It is
charged when an impression event names the campaign and the request, and goes back where none did in
time. What is left, reserved and spent of a budget is together the whole of it at any moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from redis import Redis

from headrace.ads.campaign import Campaign
from headrace.skipped import Skipped

NO_NUMBER: Final = -2
RESERVATION_S: Final = 600.0
MAX_RELEASED: Final = 100  # reservations whose time is over, in one call

# KEYS budget, reserved prices by request, requests by the time at which their reservation ends;
# ARGV request, price, now, end of the reservation, the budget where Redis has lost it, or 0:
# the budget left, -1 when it cannot pay, -2 when what lies there is none.
_RESERVE: Final = f"""
local function is_amount(text)
  return type(text) == 'string' and #text <= 18 and string.match(text, '^%-?%d+$')
end
local left = redis.pcall('GET', KEYS[1])
if not left then
  if ARGV[5] == '0' then return -1 end
  left = ARGV[5]
  redis.call('SET', KEYS[1], left)
end
if not is_amount(left) then return -2 end
local over = redis.pcall('ZRANGEBYSCORE', KEYS[3], '-inf', ARGV[3], 'LIMIT', 0, {MAX_RELEASED})
local known = redis.pcall('HGET', KEYS[2], ARGV[1])
if over.err or (type(known) == 'table' and known.err) then return -2 end
for _, request in ipairs(over) do
  local price = redis.call('HGET', KEYS[2], request)
  if is_amount(price) then left = redis.call('INCRBY', KEYS[1], price) end
  redis.call('HDEL', KEYS[2], request)
  redis.call('ZREM', KEYS[3], request)
end
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 then return tonumber(left) end
if tonumber(left) < tonumber(ARGV[2]) then return -1 end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[3], ARGV[4], ARGV[1])
return redis.call('DECRBY', KEYS[1], ARGV[2])
"""

# KEYS reserved prices, requests by their end, money spent; ARGV request: the price, 0 where nothing
# is reserved.
_CHARGE: Final = """
local price = redis.pcall('HGET', KEYS[1], ARGV[1])
if type(price) ~= 'string' or not string.match(price, '^%d+$') then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.pcall('ZREM', KEYS[2], ARGV[1])
redis.pcall('INCRBY', KEYS[3], price)
return tonumber(price)
"""


class Budgets:
    """Opens and reads the budgets, reserves prices and charges them, each in one atomic step."""

    def __init__(
        self,
        redis: Redis,
        namespace: str,
        skipped: Skipped | None = None,
        reservation_s: float = RESERVATION_S,
    ) -> None:
        self._redis, self._namespace = redis, namespace
        self._skipped = skipped or Skipped()
        self._reservation_ms = int(1_000 * reservation_s)
        self._reserve = redis.register_script(_RESERVE)
        self._charge = redis.register_script(_CHARGE)
        self._whole_micros: dict[str, int] = {}  # by campaign

    def open(self, campaigns: Sequence[Campaign]) -> None:
        """Give each campaign its budget unless it has one already; so does `reserve` later on,
        where Redis came back empty."""
        self._whole_micros = {one.id: one.budget_micros for one in campaigns}
        for campaign in campaigns:
            self._redis.set(self._left(campaign.id), campaign.budget_micros, nx=True)

    def left_micros(self, campaign_id: str) -> int:
        """Neither spent nor reserved."""
        return int(self._redis.get(self._left(campaign_id)) or 0)

    def reserved_micros(self, campaign_id: str) -> int:
        """Reserved for ads that were placed, and that nobody has shown yet."""
        prices: Any = self._redis.hvals(self._of(campaign_id, "reserved"))
        return sum(map(int, prices))

    def spent_micros(self, campaign_id: str) -> int:
        """Charged for ads that were shown."""
        return int(self._redis.get(self._of(campaign_id, "spent")) or 0)

    def reserve(self, campaign_id: str, request_id: str, price_micros: int, now_ms: int) -> bool:
        """Reserve the price of an ad; False, and nothing reserved, if there is less left.

        The prices of a campaign whose reservations are over go back first. A request reserves once.
        """
        left = self._left(campaign_id)
        keys = [left, self._of(campaign_id, "reserved"), self._of(campaign_id, "ends")]
        end_ms, whole = now_ms + self._reservation_ms, self._whole_micros.get(campaign_id, 0)
        rest = int(self._reserve(keys, [request_id, price_micros, now_ms, end_ms, whole]))
        if rest == NO_NUMBER:
            self._skipped.add("budgets", "no number", f"key {left} in Redis")
        return rest >= 0

    def charge(self, shown: Iterable[tuple[str, str]]) -> int:
        """Charge campaigns for requests whose ads were shown; returns the micros charged now.

        Each reservation is charged once, however often it is told that the ad was shown; one that
        was never made, or is over and has gone back, is none.
        """
        charged = 0
        for campaign_id, request_id in shown:
            keys = [self._of(campaign_id, name) for name in ("reserved", "ends", "spent")]
            charged += int(self._charge(keys, [request_id]))
        return charged

    def _left(self, campaign_id: str) -> str:
        return f"{self._namespace}:budget:{campaign_id}"

    def _of(self, campaign_id: str, what: str) -> str:
        """A key on the cluster's node that has the campaign's budget."""
        return f"{{{self._left(campaign_id)}}}:{what}"
