"""Files fetched from the web: only from hosts that are named, bounded, each address once.

They are kept on disk. What cannot be fetched is a path where there is no file and which says why,
so that whoever encodes the item names it.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from threading import get_ident
from typing import Final
from urllib.parse import SplitResult, quote, urljoin, urlsplit, urlunsplit

from headrace.services.download import cache_folder

TIMEOUT_S: Final = 10.0  # to connect, and between two pieces of an answer
MAX_S: Final = 60.0  # for one file
MAX_BYTES: Final = 20_000_000
PIECE_BYTES: Final = 1 << 16
MAX_REDIRECTS: Final = 3
MAX_FAILURES: Final = 20  # of a host without a file, before it is left alone
THREADS: Final = 8
REDIRECTS: Final = (301, 302, 303, 307, 308)
SAFE: Final = "/%:@!$&'()*+,;=~"  # of a path: what needs no quoting, or is quoted
PORTS: Final = {"http": 80, "https": 443}


class Web:
    """Files by address; `hosts` are names, with a port where it is not the usual one."""

    def __init__(self, hosts: Sequence[str], cache: Path | None = None) -> None:
        self._hosts = {host.lower() for host in hosts}
        self._cache = (cache or cache_folder()) / "media"
        self._failures: Counter[str] = Counter()  # since the last file of a host

    def fetched(self, addresses: Sequence[str]) -> list[Path | None]:
        """The path of each file, None where the address is empty."""
        with ThreadPoolExecutor(THREADS) as pool:
            return list(pool.map(self._path, addresses))

    def _path(self, address: str) -> Path | None:
        if not address:
            return None
        path = self._cache / hashlib.blake2b(address.encode(), digest_size=16).hexdigest()
        if path.is_file():
            return path
        host = address.partition("://")[2].partition("/")[0].lower()
        try:
            if self._failures[host] >= MAX_FAILURES:
                raise ValueError(f"{host} gave nothing {MAX_FAILURES} times")
            _keep(self._get(address), path)
        except (OSError, ValueError, HTTPException) as error:
            self._failures[host] += 1
            reason = " ".join(str(error).split()).replace("/", "|") or type(error).__name__
            return path.with_name(f"{path.name} ({reason[:100]})")  # is not there: that tells why
        self._failures[host] = 0
        return path

    def _get(self, address: str) -> bytes:
        """The file at an address; raises `ValueError` where it is none, or of another host."""
        for _ in range(MAX_REDIRECTS + 1):
            url = urlsplit(address)
            self._check(url)
            kind = HTTPSConnection if url.scheme == "https" else HTTPConnection
            with closing(kind(url.netloc, timeout=TIMEOUT_S)) as connection:
                target = urlunsplit(("", "", quote(url.path or "/", SAFE), url.query, ""))
                connection.request("GET", target, headers={"User-Agent": "headrace"})
                answer = connection.getresponse()
                if answer.status == 200:
                    return _body(answer)
                if answer.status not in REDIRECTS:
                    raise ValueError(f"HTTP {answer.status}")
                address = urljoin(address, answer.headers.get("Location", ""))
        raise ValueError(f"more than {MAX_REDIRECTS} redirects")

    def _check(self, url: SplitResult) -> None:
        host = (url.hostname or "").lower()
        usual = url.port in (None, PORTS.get(url.scheme))
        if url.scheme not in PORTS or "@" in url.netloc:
            raise ValueError("no address of http or https")
        if f"{host}:{url.port}" not in self._hosts and not (usual and host in self._hosts):
            raise ValueError(f"host {host} is not named")


def _body(answer: HTTPResponse) -> bytes:
    """The bytes of an answer, unless they are too many or come too slowly."""
    begun_s, body = time.monotonic(), b""
    while piece := answer.read1(PIECE_BYTES):
        body += piece
        if len(body) > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES:,} bytes")
        if time.monotonic() - begun_s > MAX_S:
            raise ValueError(f"not there after {MAX_S:g} s")
    return body


def _keep(content: bytes, path: Path) -> None:
    """Writes a file so that nobody sees a part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}-{os.getpid()}-{get_ident()}")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
