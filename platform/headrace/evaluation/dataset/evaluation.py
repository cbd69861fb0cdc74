"""A learner that goes through the samples of a dataset, in batches as a trainer would."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.evaluation.dataset.cases import Case
from headrace.evaluation.progressive import Progressive
from headrace.model.batch import Batch, batch_of_samples


class CaseEvaluation(Progressive[Case]):
    """Progressive validation on cases: score first, then train on the outcomes visible by now."""

    def _batch(self, rows: Sequence[Case], at_midnight: bool = False) -> Batch:
        samples = [row.at_midnight if at_midnight else row.sample for row in rows]
        return batch_of_samples(samples, self._content, self._config)
