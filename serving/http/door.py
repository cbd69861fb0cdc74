"""The door: the checks of every request before its route sees it."""

from __future__ import annotations

from collections.abc import Mapping

from headrace.access.api_keys.ring import Keyring
from headrace.config import Settings
from headrace.services.haproxy import PLATFORM_HEADER
from serving.http.auth import Auth
from serving.http.problem import busy
from serving.http.rate import Rate, caller_of
from serving.http.route import Route
from serving.http.site import Site

ANYBODY = "anybody on this machine"


class Door:
    """The rules of one platform, by its settings.

    Its HAProxy puts the platform's name into each request. A port that was another platform's a
    moment ago may still get that one's requests: those are refused. Only of a request with the
    name is it believed whose address it came from.
    """

    def __init__(self, settings: Settings, keyring: Keyring) -> None:
        self.site, self.auth = Site(settings.http), Auth(keyring, settings.http.is_auth_required)
        self._platform = settings.serving.platform
        self._by_address = Rate("this address", settings.http.rate_per_address)
        self._by_key = Rate("this key", settings.http.rate_per_key)

    def enter(self, headers: Mapping[str, str], peer: str) -> None:
        """Raises `Problem` for a request that no route is to see; `peer` is the address of who
        opened the connection."""
        sent_for = headers.get(PLATFORM_HEADER, self._platform)
        if self._platform and sent_for != self._platform:
            raise busy("this request was for a replica that has ended: send it again")
        if caller := caller_of(self._address(headers, peer)):
            self._by_address.take(caller)
        self.site.require(headers)

    def require(self, headers: Mapping[str, str], peer: str, route: Route) -> None:
        """Raises `Problem` unless whoever asks may have this route now."""
        key = self.auth.require(headers, route.scope)
        if key is not None:
            self._by_key.take(key.id)
        if route.rate is not None:
            caller = key.id if key else caller_of(self._address(headers, peer)) or ANYBODY
            route.rate.take(caller)

    def _address(self, headers: Mapping[str, str], peer: str) -> str:
        """The client address of a request: as our HAProxy forwards it, else of the connection."""
        if self._platform and headers.get(PLATFORM_HEADER) == self._platform:
            return headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
        return peer
