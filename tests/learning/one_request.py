"""A request of some items, as a learner gets it: features made from a seed, nothing done yet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from shop import NUM_DENSE

from headrace.keys import key
from headrace.sample import SEQUENCE_KNOWN, Sample

CLICK_BIT = 1


def request(number: int, items: Sequence[int], surface: str = "", user: int = 0) -> Sample:
    random = np.random.default_rng(number)
    return Sample(
        source_partition=0,
        source_offset=number,
        sequence=SEQUENCE_KNOWN,
        schema=1,
        request_id=f"r{number}",
        event_time_ms=number,
        arrival_ms=number,
        user_key=user or 1_000 + number % 300,
        user_word_keys=(),
        item_keys=tuple(key(f"i{n}") for n in items),
        outcomes=(0,) * len(items),
        labelled=CLICK_BIT,
        dense=random.normal(0, 1, (len(items), NUM_DENSE)).astype("<f4").tobytes(),
        history=np.zeros((3, 12), "<i8").tobytes(),
        surface=surface,
    )
