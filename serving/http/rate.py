"""Rates: how often one key or one address may ask, by token buckets in bounded memory."""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from serving.http.problem import Problem

BURST_S: Final = 5.0  # after a pause so many seconds' worth may come at once
MAX_CALLERS: Final = 10_000  # that are remembered; whoever asked longest ago is forgotten


class Rate:
    """A token bucket for each caller (Turner, 1986): `per_s` tokens come a second, up to those of
    `BURST_S`, and a request takes one. 0 is no limit. Threads may share one."""

    def __init__(
        self, what: str, per_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._what, self._per_s, self._clock = what, per_s, clock
        self._most = max(1.0, per_s * BURST_S)
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, as of when

    def take(self, caller: str) -> None:
        """Take one token; raises `Problem` 429, with the seconds until there is one, if none is
        left."""
        if not self._per_s:
            return
        now_s = self._clock()
        with self._lock:
            tokens, at_s = self._buckets.pop(caller, (self._most, now_s))
            tokens = min(self._most, tokens + (now_s - at_s) * self._per_s)
            is_there = tokens >= 1
            self._buckets[caller] = (tokens - is_there, now_s)
            if len(self._buckets) > MAX_CALLERS:
                self._buckets.popitem(last=False)
        if not is_there:
            wait_s = math.ceil((1 - tokens) / self._per_s)
            told = f"more than {self._per_s:g} requests a second of {self._what}: send fewer"
            raise Problem(429, told, headers={"Retry-After": str(max(wait_s, 1))})


def caller_of(address: str) -> str:
    """Whose an address is: that of IPv4, and the network of IPv6, of which everybody has 2^64
    addresses; empty for this machine's own, behind which any number of clients may be."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    if found.is_loopback:
        return ""
    if found.version == 4:
        return str(found)
    return str(ipaddress.ip_network((int(found) >> 64 << 64, 64)))
