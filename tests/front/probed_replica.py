"""A replica without Ray that times each callback of its event loop: `PORT FILE`.

At SIGTERM the file gets, for each kind of callback, the times of its calls since SIGUSR1 by the
clock and of the loop's own thread; the two differ by what other threads and processes took.
"""

from __future__ import annotations

import asyncio
import functools
import json
import signal
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import uvicorn
from starlette.requests import Request

from headrace import config
from serving.app import Gateway

Times = dict[str, list[tuple[float, float]]]  # (wall, own) ms of each call, by callback


def main() -> None:
    """Answer until SIGTERM, which unwinds."""
    times: Times = defaultdict(list)
    handle: Any = asyncio.events.Handle
    handle._run = _timed(handle._run, times)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    signal.signal(signal.SIGUSR1, lambda *_: times.clear())
    gateway = Gateway(config.load())

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            response = await gateway.answer(Request(scope, receive))
            await response(scope, receive, send)

    try:
        uvicorn.run(
            answer, port=int(sys.argv[1]), log_level="warning", lifespan="off", loop="asyncio"
        )
    finally:
        Path(sys.argv[2]).write_text(json.dumps(times))
        gateway.close()


def _timed(run: Any, times: Times) -> Any:
    @functools.wraps(run)
    def timed(handle: asyncio.Handle) -> Any:
        began_s, began_own_s = time.perf_counter(), time.thread_time()
        result = run(handle)
        took_s, own_s = time.perf_counter() - began_s, time.thread_time() - began_own_s
        callback = handle._callback  # type: ignore[attr-defined]
        owner = getattr(callback, "__self__", None)
        task = owner.get_coro().__qualname__ if isinstance(owner, asyncio.Task) else ""
        name = task or getattr(callback, "__qualname__", type(callback).__name__)
        times[name].append((1_000 * took_s, 1_000 * own_s))
        return result

    return timed


if __name__ == "__main__":
    main()
