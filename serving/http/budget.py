"""Budgets: what the requests of some routes may take of a replica, apart from all others."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from serving.http.problem import busy

Result = TypeVar("Result")


class Budget:
    """Threads of its own, and a bounded number of requests that wait for them.

    Work is done off the event loop. One request more than `places` is refused at once, and one
    that has waited for `deadline_s` is not begun any more: whoever asked has gone, or will ask
    again.
    """

    def __init__(
        self,
        name: str,
        num_threads: int,
        places: int,
        deadline_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name, self.places, self.deadline_s = name, places, deadline_s
        self.num_refused = 0
        self._clock = clock
        self._lock = threading.Lock()
        self._taken = 0
        self._threads = ThreadPoolExecutor(num_threads, thread_name_prefix=name)

    async def run(self, work: Callable[[], Result]) -> Result:
        """What `work` returns or raises; raises `Problem` 503 where there is no place for it."""
        with self._lock:
            if self._taken >= self.places:
                self.num_refused += 1
                raise busy(f"too many requests wait for {self.name}: send this one again")
            self._taken += 1
        running = self._threads.submit(self._begin, work, self._clock() + self.deadline_s)
        running.add_done_callback(self._release)  # when it ends, not when nobody waits any more
        return await asyncio.wrap_future(running)

    def close(self) -> None:
        """Begin nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _begin(self, work: Callable[[], Result], due_s: float) -> Result:
        if self._clock() > due_s:
            self.num_refused += 1
            raise busy(f"this request waited {self.deadline_s:g} s for {self.name}: send it again")
        return work()

    def _release(self, _: Future[Any]) -> None:
        with self._lock:
            self._taken -= 1
