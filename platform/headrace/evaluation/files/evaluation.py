"""A learner that goes through files of impressions, with a head for each label.

J labels
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from headrace.evaluation.files.visibility import Observed
from headrace.evaluation.progressive import Progressive
from headrace.features.inputs import RequestFeatures
from headrace.keys import key
from headrace.model.batch import Batch, BatchRequest, make_batch
from headrace.model.config import CLICK
from headrace.stream.step.join import outcome_known


class Evaluation(Progressive[Observed]):
    """Progressive validation on files: score first, then train on the outcomes visible by now.

    Labels may be others than actions.
    """

    def _batch(self, rows: Sequence[Observed], at_midnight: bool = False) -> Batch:
        requests = [
            BatchRequest(
                user_key=key(row.impression.event.user_id),
                user_words=row.user_words,
                item_keys=(key(row.impression.item_id),),
                features=_features(row, at_midnight),
                label_NJ=self._labels(row),
                outcome_N=np.array([outcome_known(row.impression.event.items[0])]),
                surface=self._config.surface_number(row.impression.event.surface),
            )
            for row in rows
        ]
        return make_batch(requests, self._content, self._config.history)

    def _labels(self, row: Observed) -> NDArray[np.float32]:
        """[1, J]: the outcome of a row, 0 or 1, for each head."""
        label_J, clicked = row.impression.label_J, row.impression.event.items[0].clicked
        of_heads = [
            float(bool(clicked)) if head.name == CLICK else label_J[self._places[head.name]]
            for head in self._config.heads
        ]
        return np.array([of_heads], np.float32)


def _features(row: Observed, at_midnight: bool) -> RequestFeatures:
    return row.at_midnight if at_midnight else row.features
