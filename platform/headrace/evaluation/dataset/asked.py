"""The options of an evaluation of a dataset."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of an evaluation of a dataset.

    With `model_version` the published version of that number is judged, and nothing is trained.
    """

    labels: tuple[str, ...] = ()  # the predicted actions that the test can judge
    test_from_ms: int | None = None
    test_share: float = 0.2  # of the events, where no time is given
    size: str = "nano"
    seed: int = 0
    online: bool = False
    publish_every_ms: int = 0
    frozen_features: bool = False
    model_version: int | None = None
    top: int = 10
    threshold: float = 0.5
    num_draws: int = 0
