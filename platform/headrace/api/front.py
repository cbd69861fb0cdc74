"""The front door, as headrace's own commands find it: where it is, over which connection, with
which key."""

from __future__ import annotations

import http.client
import ssl
from dataclasses import dataclass

from headrace.access.http import HttpAccess

ANY = ("0.0.0.0", "::", "*")


@dataclass(frozen=True, slots=True)
class Front:
    """The platform's own API, asked from this machine."""

    access: HttpAccess

    @property
    def host(self) -> str:
        """The address under which a client on this machine finds it."""
        return "127.0.0.1" if self.access.host in ANY else self.access.host

    @property
    def address(self) -> str:
        """Its URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.access.scheme}://{host}:{self.access.port}"

    @property
    def headers(self) -> dict[str, str]:
        """Headers of each request: the type of the body, and the key where there is one."""
        own_key = self.access.own_key
        key = {"Authorization": f"Bearer {own_key}"} if own_key else {}
        # A server of many names has an address of this machine in none of them.
        name = next(iter(sorted(self.access.host_names)), "")
        is_known = not name or self.host in self.access.host_names
        return {"Content-Type": "application/json", **key, **({} if is_known else {"Host": name})}

    def connect(self, timeout_s: float) -> http.client.HTTPConnection:
        """A connection that is not open yet."""
        if not self.access.tls_cert:
            return http.client.HTTPConnection(self.host, self.access.port, timeout=timeout_s)
        return http.client.HTTPSConnection(
            self.host, self.access.port, timeout=timeout_s, context=self._context()
        )

    def _context(self) -> ssl.SSLContext:
        """Trusts the server's own certificate and no other, whatever name it is made out to."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(self.access.tls_cert)
        return context
