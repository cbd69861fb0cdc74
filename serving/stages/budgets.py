"""Budgets: money that the campaigns have left, in Redis, shared by all replicas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from redis import Redis

from headrace.ads.campaign import Campaign
from headrace.skipped import Skipped
from serving.breaker import Breaker

UNREADABLE: Final = -2

# KEYS[1] budget, ARGV[1] price, ARGV[2] the budget where Redis has lost it, or 0: the budget left,
# -1 when it cannot pay, -2 when it is no number.
_CHARGE = """
local stored = redis.pcall('GET', KEYS[1])
if not stored then
  if ARGV[2] == '0' then return -1 end
  stored = ARGV[2]
  redis.call('SET', KEYS[1], stored)
end
if type(stored) ~= 'string' or not string.match(stored, '^%-?%d+$') or #stored > 18 then
  return -2
end
local price = tonumber(ARGV[1])
if tonumber(stored) < price then return -1 end
return redis.call('DECRBY', KEYS[1], price)
"""


class Budgets:
    """Opens, reads and charges the budgets; a price leaves its budget in one atomic step."""

    def __init__(
        self,
        redis: Redis,
        namespace: str,
        skipped: Skipped | None = None,
        breaker: Breaker | None = None,
    ) -> None:
        self._redis, self._namespace = redis, namespace
        self._skipped = skipped or Skipped()
        self._breaker = breaker or Breaker("the budgets' Redis", redis.ping)
        self._charge = redis.register_script(_CHARGE)
        self._whole_micros: dict[str, int] = {}  # by campaign

    def open(self, campaigns: Sequence[Campaign]) -> None:
        """Give each campaign its budget unless it has one already; so does `charge` later on, where
        Redis came back empty."""
        self._whole_micros = {one.id: one.budget_micros for one in campaigns}
        for campaign in campaigns:
            self._redis.set(self._name(campaign.id), campaign.budget_micros, nx=True)

    def left_micros(self, campaign_id: str) -> int:
        return int(self._redis.get(self._name(campaign_id)) or 0)

    def charge(self, campaign_id: str, price_micros: int) -> bool:
        """Take the price out of the budget; False, and nothing taken, if there is less left.

        Raises `StoreUnavailable` where Redis does not say.
        """
        keys = [self._name(campaign_id)]
        args = [price_micros, self._whole_micros.get(campaign_id, 0)]
        left = int(self._breaker.call(lambda: self._charge(keys=keys, args=args)))
        if left == UNREADABLE:
            self._skipped.add("budgets", "no number", f"key {self._name(campaign_id)} in Redis")
        return left >= 0

    def _name(self, campaign_id: str) -> str:
        return f"{self._namespace}:budget:{campaign_id}"
