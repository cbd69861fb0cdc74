"""A published version, as a replica has it: weights, calibration, and the content that it reads."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from headrace.catalogue.words import ContentTable
from headrace.config import Settings
from headrace.errors import ConfigError
from headrace.evaluation.dataset.cases import Case
from headrace.evaluation.quality import Quality
from headrace.evaluation.row import TEST
from headrace.learning.learner import probabilities
from headrace.model.batch import Batch, batch_of_samples
from headrace.model.calibration import make_calibration, per_impression
from headrace.model.config import RankerConfig
from headrace.model.ranker import Ranker
from headrace.registry.manifest import Manifest, check_vectors
from headrace.registry.subscriber import Subscriber
from headrace.registry.versions import load_weights
from headrace.sample import Sample


class PublishedVersion:
    """The ranker and the calibration of a manifest; raises `ConfigError` where the settings name
    other content, `ServiceError` where its weights are damaged or of another build."""

    def __init__(self, manifest: Manifest, content: ContentTable) -> None:
        check_vectors(manifest, content.vectors.names)
        weights = load_weights(manifest)
        self.manifest, self.content = manifest, content
        self.ranker = Ranker(manifest.model)
        self.ranker.load_state(weights["ranker"])
        self.ranker.eval()
        self.calibration = make_calibration(manifest.model)
        self.calibration.load_state(weights["calibration"])

    @property
    def config(self) -> RankerConfig:
        return self.manifest.model

    def predict(self, batch: Batch) -> NDArray[np.float32]:
        """[C, J]: the calibrated probabilities of the scalar heads."""
        return probabilities(self.ranker, self.calibration, batch)


class PublishedEvaluation:
    """The evaluation of a published version, with fixed weights, on the cases of the test."""

    def __init__(self, version: PublishedVersion, labels: Sequence[str]) -> None:
        heads = [head.name for head in version.config.scalar_heads]
        if missing := [label for label in labels if label not in heads]:
            raise ConfigError(
                f"--labels: model version {version.manifest.version} does not predict "
                f"{missing[0]!r}; its heads are {', '.join(heads)}"
            )
        self._version, self.quality = version, Quality(labels)
        self._columns = [heads.index(label) for label in labels]

    def take(self, cases: Sequence[Case]) -> None:
        """Score a batch of cases of one split, if it is the test's."""
        if cases[0].split == TEST:
            now = self._predict([case.sample for case in cases])
            late = self._predict([case.at_midnight for case in cases])
            self.quality.add(cases, now, late)

    def _predict(self, samples: Sequence[Sample]) -> NDArray[np.float32]:
        batch = batch_of_samples(samples, self._version.content, self._version.config)
        p_CJ = per_impression(self._version.predict(batch), self._version.config.after_click)
        return p_CJ[:, self._columns]


def find_version(settings: Settings, version: int) -> Manifest:
    """The manifest of a version; raises `ConfigError` for one that was never published, or whose
    weights are gone."""
    with closing(Subscriber(settings)) as models:
        return models.find(version)
