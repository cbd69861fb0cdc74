"""Budgets, or bulkheads: the threads and places of some routes, apart from all others'."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, TypeVar

from serving.http.problem import busy

TARGET: Final = 0.04  # of the deadline: a wait that a queue which empties now and then stays below
Result = TypeVar("Result")


class StandingQueue:
    """Controlled delay (CoDel): tells a queue that stands from one that a stall has left.

    While the shortest wait in an interval, which is as long as the deadline, was above `TARGET` of
    it, the queue does not empty: more comes than is done, and whoever waits for three times that is
    refused, which keeps everybody's wait short, until one has waited less. Else a wait of any
    length is borne, as it will be over soon. After B. Maurer, "Fail at Scale", ACM Queue 13(8),
    2015. Times are seconds of a monotonic clock.
    """

    def __init__(self, deadline_s: float) -> None:
        self._deadline_s = deadline_s
        self._target_s = TARGET * deadline_s
        self._ends_s = 0.0
        self._least_s = 0.0  # the shortest wait of this interval
        self._stands = False

    def longest_s(self, waited_s: float, now_s: float) -> float:
        """The longest wait after which a request is begun, now that one has waited so long."""
        if now_s >= self._ends_s:
            self._stands = self._least_s > self._target_s
            self._ends_s, self._least_s = now_s + self._deadline_s, waited_s
        self._least_s = min(self._least_s, waited_s)
        self._stands = self._stands and self._least_s > self._target_s
        return 3 * self._target_s if self._stands else self._deadline_s


class Budget:
    """Threads of its own, and a bounded number of requests that wait for them.

    Work is done off the event loop. One request more than `places` is refused at once, and one
    that has waited for `deadline_s` is not begun any more: whoever asked has gone, or will ask
    again. Under a load that is more than can be done, the wait is far shorter (`StandingQueue`).
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
        self._lock, self._begun = threading.Lock(), threading.local()
        self._taken = 0
        self._queue = StandingQueue(deadline_s)
        self._threads = ThreadPoolExecutor(num_threads, thread_name_prefix=name)

    async def run(self, work: Callable[[], Result]) -> Result:
        """The result of `work`, or its exception; raises `Problem` 503 where it has no place."""
        with self._lock:
            if self._taken >= self.places:
                self.num_refused += 1
                raise busy(f"too many requests wait for {self.name}: send this one again")
            self._taken += 1
        running = self._threads.submit(self._begin, work, self._clock())
        running.add_done_callback(self._release)  # when it ends, not when nobody waits any more
        return await asyncio.wrap_future(running)

    @property
    def waited_ms(self) -> float:
        """How long the work that this thread does has waited for it; 0 in other threads."""
        waited_s: float = getattr(self._begun, "waited_s", 0.0)
        return 1_000 * waited_s

    def close(self) -> None:
        """Begin nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _begin(self, work: Callable[[], Result], entered_s: float) -> Result:
        now_s = self._clock()
        waited_s = now_s - entered_s
        with self._lock:
            is_late = waited_s > self._queue.longest_s(waited_s, now_s)
            self.num_refused += is_late
        if is_late:
            raise busy(f"this request waited {waited_s:.2g} s for {self.name}: send it again")
        self._begun.waited_s = waited_s
        return work()

    def _release(self, _: Future[Any]) -> None:
        with self._lock:
            self._taken -= 1
