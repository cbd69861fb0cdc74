"""The keyring: the keys that a process knows, read anew every second and kept while Redis is away.

Redis away neither locks out who is known nor lets in anybody else. A key that is revoked works no
longer once Redis was read again; one that expires, at that moment, since the time is checked here.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from redis import RedisError

from headrace.access.api_keys.key import ApiKey, id_of, key_of
from headrace.access.api_keys.store import KeyStore

EVERY_S: Final = 1.0

log = logging.getLogger(__name__)


class Keyring:
    """Finds keys by their secrets. `own_secret` is the platform's own key, which only reads."""

    def __init__(self, store: KeyStore, clock: Callable[[], int], own_secret: str = "") -> None:
        self.is_read = False  # whether Redis was read at all: until then nobody is known
        self.last_error = ""  # why the keys could not be read the last time
        self._store, self._clock = store, clock
        own = [key_of(own_secret, "headrace itself", ("read",))] if own_secret else []
        self._own = {key.id: key for key in own}
        self._keys = dict(self._own)
        self._used: dict[str, str] = {}  # the day of the last use, by id
        self._told: dict[str, str] = {}  # the same, as Redis has it
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keyring", daemon=True)

    def find(self, secret: str) -> ApiKey | None:
        """The key of a secret; None where there is none, or it has expired."""
        key, now_ms = self._keys.get(id_of(secret)), self._clock()
        if key is None or not key.is_secret(secret) or key.is_expired(now_ms):
            return None
        self._used[key.id] = datetime.fromtimestamp(now_ms / 1_000, UTC).date().isoformat()
        return key

    def refresh(self) -> None:
        """Read the keys anew, and write down which were used; without Redis nothing changes."""
        try:
            self._keys = {key.id: key for key in self._store.all()} | self._own
            self.is_read, self.last_error = True, ""
            kept = self._keys.keys() - self._own.keys()
            used = {name: day for name, day in self._used.copy().items() if name in kept}
            self._store.mark_used(dict(used.items() - self._told.items()))
            self._told = used
        except RedisError as error:  # away, or the hash is no hash
            self.last_error = f"API keys are those of the last reading: {error}"

    def start(self) -> None:
        """Refresh every second from now on, in a thread."""
        self._thread.start()

    def close(self) -> None:
        """End the thread; returns when it has."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                self.refresh()
            except Exception as error:  # whatever it is, the next second tries again
                self.last_error = f"API keys cannot be read: {type(error).__name__}"
                log.warning("%s", self.last_error)
            if self._closing.wait(EVERY_S):
                return
