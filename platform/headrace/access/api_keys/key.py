"""An API key: the secret that its holder sends, and the record kept of it."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import Final, Literal, get_args

import msgspec

from headrace.errors import ConfigError

Scope = Literal["read", "write", "admin"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
DAY_MS: Final = 86_400_000
MAX_DAYS: Final = 36_500
MAX_NAME: Final = 64

# What a scanner of repositories and logs may look for: no other text looks like it.
SECRET_FORM: Final = re.compile(r"hr_([0-9a-f]{12})_[0-9a-f]{64}")


class ApiKey(msgspec.Struct, frozen=True):
    """A key without its secret."""

    id: str
    name: str  # for people: whose key it is
    scopes: tuple[Scope, ...]
    created_ms: int
    digest: str  # of the secret, see `digest_of`
    expires_ms: int | None = None

    def is_expired(self, now_ms: int) -> bool:
        """Whether its time is over."""
        return self.expires_ms is not None and now_ms >= self.expires_ms

    def is_secret(self, secret: str) -> bool:
        """Whether this is the key's secret; it takes as long whichever characters are right."""
        return hmac.compare_digest(digest_of(secret).encode(), self.digest.encode())


def issue(
    name: str, scopes: tuple[Scope, ...], now_ms: int, days: int | None = None
) -> tuple[str, ApiKey]:
    """A new secret, which nobody can ask for again, and its key; raises `ConfigError` for a name or
    a time that no key can have."""
    if not (name.isprintable() and 1 <= len(name.strip()) <= MAX_NAME):
        raise ConfigError(f"name {name!r}: expected 1 to {MAX_NAME} printable characters")
    if days is not None and not 1 <= days <= MAX_DAYS:
        raise ConfigError(f"--expires {days}: expected 1 to {MAX_DAYS:,} days")
    secret = new_secret()
    expires_ms = None if days is None else now_ms + days * DAY_MS
    return secret, key_of(secret, name.strip(), scopes, now_ms, expires_ms)


def new_secret() -> str:
    """256 random bits under a random id."""
    return f"hr_{secrets.token_hex(6)}_{secrets.token_hex(32)}"


def key_of(
    secret: str,
    name: str,
    scopes: tuple[Scope, ...],
    created_ms: int = 0,
    expires_ms: int | None = None,
) -> ApiKey:
    """The key that has this secret."""
    return ApiKey(id_of(secret), name, scopes, created_ms, digest_of(secret), expires_ms)


def id_of(secret: str) -> str:
    """The id within a secret, empty where the text is none."""
    found = SECRET_FORM.fullmatch(secret)
    return found[1] if found else ""


def digest_of(secret: str) -> str:
    """SHA-256, in hexadecimal.

    Slow, salted hashes are for passwords, which can be guessed. Nobody guesses 256 random bits, no
    two keys share them, and each request pays for the hash: a plain one is right here.
    """
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def scopes_of(text: str) -> tuple[Scope, ...]:
    """Scopes between commas, each once; raises `ConfigError` for another one, or none."""
    names = {name.strip() for name in text.split(",")}
    chosen = tuple(scope for scope in SCOPES if scope in names)
    if not chosen or names - set(SCOPES):
        raise ConfigError(f"--scope {text}: expected some of {', '.join(SCOPES)}, between commas")
    return chosen
