"""Reservations: the prices of a request's ads out of their budgets, unless the server is away."""

from __future__ import annotations

from typing import Protocol

from headrace.ads.budgets import Budgets
from serving.breaker import Breaker


class Reserves(Protocol):
    """Reserves the price of a campaign's ad for a request; False if its budget cannot pay it.

    Raises `StoreUnavailable` where nobody says.
    """

    def reserve(self, campaign_id: str, request_id: str, price_micros: int, now_ms: int) -> bool:
        """Reserve it."""


class Reservations:
    """Reserves in the budgets, behind a breaker."""

    def __init__(self, budgets: Budgets, breaker: Breaker) -> None:
        self._budgets, self._breaker = budgets, breaker

    def reserve(self, campaign_id: str, request_id: str, price_micros: int, now_ms: int) -> bool:
        """Reserve it, as `Reserves` says."""
        asked = campaign_id, request_id, price_micros, now_ms
        return self._breaker.call(lambda: self._budgets.reserve(*asked))
