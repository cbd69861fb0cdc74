"""Log time: how late it was when each record of a step came, whatever a few of them say.

N records of a step
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from headrace.epoch import MAX_SKEW_MS
from headrace.features.aggregation.facts import Ints

AROUND: Final = 16  # records before and after one that have a say in how late it was


def log_times_ms(arrival_ms_N: Sequence[int], now_ms: int) -> list[int]:
    """[N]: the moments up to which windows may close at each record.

    That is its arrival. Where one says that it came after those that lie behind it in the log, a
    clock is wrong; then the median of those around says how late it was at most, so that one
    producer can neither close the windows of others nor keep them open.
    """
    time_N: Ints = np.minimum(np.array(arrival_ms_N, np.int64), now_ms)
    if (np.diff(time_N) < -MAX_SKEW_MS).any():
        around_NW = sliding_window_view(np.pad(time_N, AROUND, mode="edge"), 2 * AROUND + 1)
        time_N = np.minimum(time_N, np.median(around_NW, axis=1).astype(np.int64))
    times: list[int] = time_N.tolist()
    return times
