"""`headrace keys`: who may use the API. A secret is shown once, when it is made."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from headrace import config
from headrace.access.api_keys.key import SCOPES, ApiKey, issue, scopes_of
from headrace.access.api_keys.store import MAX_KEYS, KeyStore
from headrace.clock import now_ms
from headrace.commands.running import add_platform_flag
from headrace.errors import ConfigError

COLUMNS: Final = ("id", "name", "scopes", "created", "last_used", "expires", "state")


def add_keys(commands: Any) -> None:
    """Add `keys` and its own commands to the command line."""
    keys = commands.add_parser("keys", help="keys of the API: create, list, revoke")
    actions = keys.add_subparsers(dest="action", required=True, metavar="ACTION")
    created = actions.add_parser("create", help="make a key and print its secret, this once")
    created.add_argument("name", metavar="NAME", help="whose key it is")
    created.add_argument(
        "--scope", required=True, metavar="SCOPES", help=f"of {', '.join(SCOPES)}; with commas"
    )
    created.add_argument("--expires", type=int, metavar="DAYS", help="days (default: never)")
    created.set_defaults(run=_create)
    listed = actions.add_parser("list", help="the keys, without their secrets")
    listed.add_argument("--json", action="store_true", help="for programs: one key a line")
    listed.set_defaults(run=_list)
    revoked = actions.add_parser("revoke", help="end a key; it works no longer within seconds")
    revoked.add_argument("id", metavar="ID", help="as `headrace keys list` has it")
    revoked.set_defaults(run=_revoke)
    for action in (created, listed, revoked):
        add_platform_flag(action)


def _create(options: argparse.Namespace, settings: config.Settings) -> int:
    secret, key = issue(options.name, scopes_of(options.scope), now_ms(), options.expires)
    with _store(settings) as store:
        if len(store.all()) >= MAX_KEYS:
            raise ConfigError(f"there are {MAX_KEYS:,} keys: revoke some that are not used")
        store.add(key)
    print(secret)  # alone on its line, so that it can be piped to where it is kept
    return 0


def _list(options: argparse.Namespace, settings: config.Settings) -> int:
    with _store(settings) as store:
        keys, used = store.all(), store.days_used()
    rows = [_row(key, used.get(key.id, "")) for key in keys]
    if options.json:
        for row in rows:
            print(json.dumps(dict(zip(COLUMNS, row, strict=True))))
        return 0
    table = [COLUMNS, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        print("  ".join(map(str.ljust, row, widths)).rstrip())
    return 0


def _revoke(options: argparse.Namespace, settings: config.Settings) -> int:
    with _store(settings) as store:
        if not store.revoke(options.id):
            raise ConfigError(f"no key {options.id!r}: `headrace keys list` has those there are")
    print(f"revoked {options.id}")
    return 0


@contextmanager
def _store(settings: config.Settings) -> Iterator[KeyStore]:
    from redis import Redis

    from headrace.services.redis import check_redis

    check_redis(settings.redis_url)
    with Redis.from_url(settings.redis_url) as redis:
        yield KeyStore(redis, settings.namespace)


def _row(key: ApiKey, day_used: str) -> tuple[str, ...]:
    expires = "never" if key.expires_ms is None else _day(key.expires_ms)
    state = "expired" if key.is_expired(now_ms()) else "valid"
    scopes = ",".join(key.scopes)
    return key.id, key.name, scopes, _day(key.created_ms), day_used or "never", expires, state


def _day(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1_000, UTC).date().isoformat()
