"""Labels: what a sample tells the heads of a ranker.

N impressions   J heads
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headrace.action import BIT, CLICK
from headrace.features.aggregation.facts import action_masks
from headrace.model.config import Head, RankerConfig
from headrace.sample import Sample


def labels(sample: Sample, config: RankerConfig) -> NDArray[np.float32]:
    """[N, J]: the label of each impression for each head, NaN where it is unknown.

    Of what was drawn none is known: nobody has seen it shown and left.
    """
    action_N = action_masks(np.array(sample.outcomes))
    label_NJ = np.full((len(action_N), len(config.heads)), np.nan, dtype=np.float32)
    if sample.log_q:
        return label_NJ
    for column in np.flatnonzero(known_heads(sample, config)).tolist():
        asked = _asked(config.heads[column])
        label_NJ[:, column] = action_N & asked == asked
    return label_NJ


def known_heads(sample: Sample, config: RankerConfig) -> NDArray[np.bool_]:
    """[J]: whether the sample tells of the actions of each head."""
    told = [
        head.name in BIT and sample.labelled & _asked(head) == _asked(head) for head in config.heads
    ]
    return np.array(told, np.bool_)


def _asked(head: Head) -> int:
    """The actions that a head predicts together, as bits."""
    return BIT.get(head.name, 0) | (BIT[CLICK] if head.kind == "after_click" else 0)
