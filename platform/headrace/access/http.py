"""Access over HTTP: who is let in, from which sites, how often, and over which connections."""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from headrace.access.api_keys.key import SECRET_FORM
from headrace.errors import ConfigError
from headrace.settings.room import Room

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
PerSecond = Annotated[float, msgspec.Meta(ge=0)]

LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")
_ORIGIN: Final = re.compile(r"https?://[^/\s,]+")
_HOST: Final = re.compile(r"[^/\s,:\[\]]+|\[[0-9a-fA-F:.]+\]")


class HttpAccess(Room, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of HTTP: where it listens, and which requests are let in."""

    host: str = "127.0.0.1"  # interface that HTTP listens on
    port: Port = 8000
    metrics_host: str = "127.0.0.1"  # interface of the stream's metrics; keys where not loopback
    metrics_port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0  # 0: none
    auth: Literal["auto", "required", "off"] = "auto"  # auto: keys where `host` is not loopback
    own_key: str = ""  # with which headrace asks its own API; `headrace up` makes one for its run
    allowed_hosts: tuple[str, ...] = ()  # of the Host header; empty: loopback's, if `host` is there
    cors_origins: tuple[str, ...] = ()  # of pages whose browsers may ask: https://shop.example
    rate_per_key: PerSecond = 1_000.0  # requests a second, in each replica; 0: no limit
    rate_per_address: PerSecond = 1_000.0  # of an address that is not this machine's
    ads_rate: PerSecond = 20.0  # requests for ads, which spend budgets, of one key or address
    connections_per_client: Annotated[int, msgspec.Meta(ge=1)] = 512  # of one address, to HAProxy
    tls_cert: str = ""  # PEM file of the certificate and its chain; empty: no TLS
    tls_key: str = ""  # PEM file; empty: the key is in `tls_cert`

    @property
    def is_auth_required(self) -> bool:
        """Whether a request needs a key."""
        return self.auth == "required" or (self.auth == "auto" and not is_loopback(self.host))

    @property
    def host_names(self) -> frozenset[str]:
        """The names that a Host header may have, in lower case; empty for any."""
        given = frozenset(name.lower() for name in self.allowed_hosts)
        if given or not is_loopback(self.host):
            return given
        own = f"[{self.host}]" if ":" in self.host else self.host.lower()
        return frozenset({*LOOPBACK_NAMES, own})

    @property
    def origin_names(self) -> frozenset[str]:
        """The origins whose pages may ask, in lower case."""
        return frozenset(origin.rstrip("/").lower() for origin in self.cors_origins)

    @property
    def scheme(self) -> str:
        """`http`, or `https` where there is a certificate."""
        return "https" if self.tls_cert else "http"

    def problems(self) -> Iterator[str]:
        """The errors in these settings, one line each: bad values, contradictions, absent files."""
        if self.own_key and not SECRET_FORM.fullmatch(self.own_key):
            yield "HEADRACE_OWN_KEY is no key of `headrace keys create`: expected hr_ID_RANDOM"
        for name in self.allowed_hosts:
            if not _HOST.fullmatch(name):
                yield (
                    f"HEADRACE_ALLOWED_HOSTS: {name!r}: expected names or addresses without port, "
                    "such as api.shop.example,[2001:db8::1]"
                )
        for origin in sorted(self.origin_names):
            if not _ORIGIN.fullmatch(origin):
                yield (
                    f"HEADRACE_CORS_ORIGINS: {origin!r}: expected origins such as "
                    "https://shop.example or http://localhost:3000, and no *"
                )
        if self.tls_key and not self.tls_cert:
            yield "HEADRACE_TLS_KEY needs HEADRACE_TLS_CERT"
        for name, file in (("TLS_CERT", self.tls_cert), ("TLS_KEY", self.tls_key)):
            if file and not Path(file).is_file():
                yield f"HEADRACE_{name}={file}: there is no such file"

    def warnings(self) -> Iterator[str]:
        """The security warnings, one line each: settings that are allowed but expose the server."""
        if is_loopback(self.host):
            return
        if not self.is_auth_required:
            yield (
                f"HEADRACE_AUTH=off and HEADRACE_HOST={self.host}: anybody there reads slates, "
                "writes events and spends the budgets of ads; unset HEADRACE_AUTH to ask for keys"
            )
        if not self.tls_cert:
            yield (
                f"HEADRACE_HOST={self.host} without TLS: keys and events can be read on their way; "
                "set HEADRACE_TLS_CERT, or let a proxy in front of it have the certificate"
            )

    def require_tls_files(self) -> None:
        """Raises `ConfigError` unless certificate and key, where there are any, are a pair."""
        if not self.tls_cert:
            return
        try:
            # Without a password OpenSSL would ask the terminal for that of an encrypted key.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.tls_cert, self.tls_key or None, password="")
        except (OSError, ValueError) as error:
            files = f"HEADRACE_TLS_CERT={self.tls_cert}"
            files += f", HEADRACE_TLS_KEY={self.tls_key}" if self.tls_key else ""
            raise ConfigError(
                f"{files}: not usable ({error}): expected a certificate and its key in PEM, the "
                "key without a password"
            ) from None


def is_loopback(host: str) -> bool:
    """Whether this host is a loopback address: only this machine reaches a server there."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
