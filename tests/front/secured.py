"""A front door with TLS and keys: its certificate, and requests over its connection."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from redis import Redis
from stand import FrontDoor, Reply

from headrace.access.api_keys.key import Scope, issue
from headrace.access.api_keys.store import KeyStore
from headrace.api.front import Front
from headrace.clock import now_ms


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate that signed itself, and its key, in two files."""
    certificate, key = folder / "door.crt", folder / "door.key"
    words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-keyout", str(key), "-out", str(certificate), "-subj", "/CN=door"]
    subprocess.run(["openssl", *words, *files], check=True, capture_output=True)
    return certificate, key


class SecuredDoor(FrontDoor):
    """HAProxy and a replica, asked over TLS."""

    def is_up(self) -> bool:
        assert self.replica is not None and self.replica.poll() is None, self.log()
        try:
            return self.ask("GET", "/livez").status == 200
        except OSError:
            return False

    def ask(
        self, method: str, path: str, document: Any = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """What is answered to a request with these headers."""
        connection = Front(self.settings.http).connect(10.0)
        body = None if document is None else msgspec.json.encode(document)
        began_s = time.monotonic()
        try:
            given = {"Content-Type": "application/json", **(headers or {})}
            connection.request(method, path, body, given)
            response = connection.getresponse()
            answered = response.read()
        finally:
            connection.close()
        told = {name.lower(): value for name, value in response.getheaders()}
        found = msgspec.json.decode(answered) if answered else None
        return Reply(response.status, told, found, time.monotonic() - began_s)

    def keys(self) -> KeyStore:
        return KeyStore(Redis.from_url(self.redis.url), self.settings.namespace)

    def new_key(self, *scopes: Scope) -> tuple[str, dict[str, str]]:
        """The id of a key that a replica may not know yet, and the header that carries it."""
        secret, key = issue("a test", scopes, now_ms())
        self.keys().add(key)
        return key.id, {"Authorization": f"Bearer {secret}"}
