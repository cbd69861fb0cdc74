"""The clock: the one place that reads the time. Entry points pass it on as a function."""

import time


def now_ms() -> int:
    """Milliseconds since the epoch, UTC."""
    return time.time_ns() // 1_000_000
