"""Requests nobody sane sends, drawn from a seed: fuzzed, huge, half-sent and cut."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from typing import Any

PATHS = ("/v1/recommend", "/v1/ads", "/v1/events")
SIZES = (50, 1_000, 20_000)
WEIRD: tuple[Any, ...] = (
    *("", "a", "\0", "x" * 257, "\U0001f600" * 300, "../../etc/passwd", "%00", "*", "\n\r"),
    *(0, -1, 1, 1e308, -1e309, float("nan"), 2**63, -(2**63) - 1, 10**400, 0.1, 101),
    *(True, None, [], {}, [[]], [None], [""], {"a": 1}, "2024-05-01"),
)
SLATE = {"user_id": "196", "num_items": 5, "surface": "home", "exclude": ["50"], "record": False}
ADS = {"user_id": "196", "num_ads": 2, "surface": "home", "categories": ["Sci-Fi"]}
CLICK = {"type": "click", "user_id": "fuzz", "item_id": "288", "surface": "home"}
SHOWN = {"item_id": "288", "position": 0, "clicked": True}
IMPRESSION = {"type": "impression", "user_id": "fuzz", "request_id": "r", "items": [SHOWN]}
SOUND = {"/v1/recommend": (SLATE,), "/v1/ads": (ADS,), "/v1/events": (CLICK, IMPRESSION)}
MAX_BODY = 4_000_000
CHUNK = b" " * 65_536


def fuzzed(draw: random.Random) -> tuple[str, bytes]:
    """A path and a body that is nearly right: fields changed, gone or added, bytes changed."""
    path = draw.choice(PATHS)
    document: Any = _changed(draw, draw.choice(SOUND[path]))
    if path == "/v1/events" and draw.random() < 0.3:
        document = [document, *(_changed(draw, CLICK) for _ in range(draw.choice((0, 3, 1_000))))]
    body = _deep(draw) if draw.random() < 0.05 else json.dumps(document).encode()
    kind = draw.random()
    if kind < 0.05:
        return path, body[: draw.randrange(len(body) + 1)]
    if kind < 0.1:
        place = draw.randrange(len(body))
        return path, body[:place] + bytes([draw.randrange(256)]) + body[place + 1 :]
    if kind < 0.15:
        return path, draw.randbytes(draw.randrange(300))
    return path, body


def huge(draw: random.Random) -> tuple[str, list[bytes]]:
    """A path and the parts of a raw request whose body is as large as is allowed, or larger."""
    path = draw.choice(PATHS)
    kind = draw.randrange(4)
    if kind == 0:  # announced, and never read
        return path, [_head(path, 10 * MAX_BODY), *[CHUNK] * 160]
    if kind == 1:  # not announced
        chunk = b"%x\r\n%s\r\n" % (len(CHUNK), CHUNK)
        head = _head(path, None)
        return path, [head, *[chunk] * 160, b"0\r\n\r\n"]
    filling = b"[]," if kind == 2 else b'"%d",' % draw.randrange(10**6)
    many = filling * ((MAX_BODY - 1_000) // len(filling))
    body = b'{"user_id":"196","exclude":[' + many[:-1] + b"]}"
    return path, [_head(path, len(body)), body]


def half(draw: random.Random) -> bytes:
    """The begin of a request: a part of the header, or of the body."""
    path, body = fuzzed(draw)
    whole = _head(path, len(body) + 10) + body
    return whole[: draw.randrange(1, len(whole) + 1)]


def _head(path: str, length: int | None) -> bytes:
    how = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}{how}\r\n\r\n".encode()


def _changed(draw: random.Random, document: dict[str, Any]) -> dict[str, Any]:
    changed = dict(document)
    if "type" in changed:
        changed |= {"event_id": f"fuzz-{draw.randrange(10**9)}"}
        changed |= {"event_time_ms": int(time.time() * 1_000)}
    for _ in range(draw.choice((0, 1, 1, 2, 3))):
        kind, name = draw.random(), draw.choice(list(changed) or ["x"])
        if kind < 0.7:
            changed[name] = _weird(draw)
        elif kind < 0.85:
            changed.pop(name, None)
        else:
            changed[draw.choice(("x", "", "$", "a.b", "y" * 1_000))] = _weird(draw)
    return changed


def _weird(draw: random.Random) -> Any:
    if draw.random() < 0.05:
        return [str(number) for number in range(draw.choice(SIZES))]
    return draw.choice(WEIRD)


def _deep(draw: random.Random) -> bytes:
    depth = draw.choice(SIZES)
    return b'{"a":' * depth + b"1" + b"}" * depth if draw.random() < 0.5 else b"[" * depth


def in_order(draw: random.Random, numbers: dict[str, int]) -> Iterator[str]:
    """The kinds, each as often as its number says, in an order that is drawn."""
    kinds = [kind for kind, number in numbers.items() for _ in range(number)]
    draw.shuffle(kinds)
    yield from kinds
