"""Labels: what a sample tells the heads of a ranker.

N impressions   J heads
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from headrace.action import AVERSIONS, BIT, CLICK, GRADED
from headrace.features.aggregation.facts import action_masks
from headrace.model.config import Head
from headrace.sample import Sample


def labels_of(sample: Sample, heads: Sequence[Head]) -> NDArray[np.float32]:
    """[N, J]: the label of each impression for each head, NaN where it is unknown.

    That an item was liked, by an action that says how much, is contradicted by an aversion; a click
    or a purchase is a fact and stays one. Of what was drawn none is known: nobody has seen it shown
    and left.
    """
    action_N = action_masks(np.array(sample.outcomes))
    left_N = action_N & ~np.where(action_N & AVERSIONS, GRADED, 0)
    label_NJ = np.full((len(action_N), len(heads)), np.nan, dtype=np.float32)
    if sample.log_q:
        return label_NJ
    for column in np.flatnonzero(known_heads(sample, heads)).tolist():
        asked = _asked(heads[column])
        label_NJ[:, column] = left_N & asked == asked
    return label_NJ


def known_heads(sample: Sample, heads: Sequence[Head]) -> NDArray[np.bool_]:
    """[J]: whether the sample tells of the actions of each head."""
    told = [head.name in BIT and sample.labelled & _asked(head) == _asked(head) for head in heads]
    return np.array(told, np.bool_)


def _asked(head: Head) -> int:
    """The actions that a head predicts together, as bits."""
    return BIT.get(head.name, 0) | (BIT[CLICK] if head.kind == "after_click" else 0)
