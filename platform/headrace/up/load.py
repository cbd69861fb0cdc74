"""A light background load: recommendation requests of real users, at a steady rate."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections.abc import Sequence

import msgspec

from headrace.api.front import Front
from headrace.metrics.latency import Latencies

TIMEOUT_S = 5.0


class BackgroundLoad:
    """Sends requests from a thread, each timed from when it was due (open loop).

    The requests are not recorded: they must neither train the model nor count as impressions.
    """

    def __init__(
        self, front: Front, user_ids: Sequence[str], requests_per_s: float, seed: int = 0
    ) -> None:
        self.sent, self.ok, self.latency = 0, 0, Latencies()
        self._front, self._users = front, list(user_ids)
        self._period_s = 1.0 / requests_per_s if requests_per_s > 0 else 0.0
        self._random = random.Random(seed)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)

    def start(self) -> None:
        if self._period_s and self._users:
            self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(TIMEOUT_S)

    def _run(self) -> None:
        due = time.monotonic()
        connection = self._front.connect(TIMEOUT_S)
        while not self._stopping.wait(max(0.0, due - time.monotonic())):
            body = msgspec.json.encode(
                {"user_id": self._random.choice(self._users), "record": False}
            )
            self.sent += 1
            try:
                connection.request("POST", "/v1/recommend", body, self._front.headers)
                response = connection.getresponse()
                response.read()
                self.ok += response.status == 200
            except (OSError, http.client.HTTPException):
                connection.close()
                connection = self._front.connect(TIMEOUT_S)
            self.latency.add((time.monotonic() - due) * 1_000)
            due += self._period_s
        connection.close()
