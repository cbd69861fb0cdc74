"""The online learner: scores each batch first, then trains on it, once.

Every number it reports is progressive: made before the labels were used (progressive validation,
Blum et al., 1999).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from headrace.metrics import Scores
from headrace.model.batch import Batch
from headrace.model.calibration import PlattScale
from headrace.model.ranker import Ranker, RankerConfig

MAX_GRADIENT_NORM = 5.0


class OnlineLearner:
    """A ranker with its optimizer, calibration, and quality per window of impressions."""

    def __init__(self, config: RankerConfig, seed: int, window: int) -> None:
        self.ranker = Ranker(config, seed)
        self.calibration = PlattScale()
        self.num_samples = 0
        self.num_skipped = 0  # batches whose features or loss were not finite
        self._window = window
        self._windows: dict[int, Scores] = {}
        self._optimizer = torch.optim.AdamW(
            self.ranker.parameters(),
            lr=config.dense_learning_rate,
            weight_decay=config.weight_decay,
        )

    def learn(self, batch: Batch) -> None:
        """Score the batch into the progressive windows, then train on it.

        A batch whose features or loss are not finite leaves no trace but its count.
        """
        self.ranker.train()
        if not torch.isfinite(batch.dense_CF).all():
            self.num_skipped += 1
            return
        if self.num_samples == 0:
            self.ranker.scale.observe(batch.dense_CF)
        logit_C = self.ranker(batch)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logit_C, batch.clicked_C)
        if not torch.isfinite(loss):
            self.num_skipped += 1
            for table in self.ranker.tables.values():
                table.forget()
            return
        scored_C = logit_C.detach()
        self._record(self.calibration(scored_C).numpy(), batch.clicked_C.numpy())
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.ranker.parameters(), MAX_GRADIENT_NORM)
        self._optimizer.step()
        for table in self.ranker.tables.values():
            table.step()
        self.ranker.scale.observe(batch.dense_CF)
        self.calibration.learn(scored_C, batch.clicked_C)

    def take_windows(self) -> dict[int, Scores]:
        """Quality per window number, of the windows that changed since the last call.

        The last one may go on growing; it comes again, whole, when it has.
        """
        changed = dict(self._windows)
        self._windows = {number: s for number, s in changed.items() if number == self._current}
        return changed

    def weights(self) -> dict[str, Any]:
        """What serving needs."""
        return {
            "ranker": self.ranker.state(with_optimizer=False),
            "calibration": self.calibration.state(),
        }

    def state(self) -> dict[str, Any]:
        """Everything that `load_state` needs to go on as if nothing had happened."""
        current = self._windows.get(self._current, Scores())
        return {
            "ranker": self.ranker.state(with_optimizer=True),
            "calibration": self.calibration.state(),
            "optimizer": self._optimizer.state_dict(),
            "num_samples": self.num_samples,
            "num_skipped": self.num_skipped,
            "window": current.to_bytes(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Become the learner that `state` described."""
        self.ranker.load_state(state["ranker"])
        self.calibration.load_state(state["calibration"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.num_samples, self.num_skipped = state["num_samples"], state["num_skipped"]
        current = Scores.from_bytes(state["window"])
        self._windows = {self._current: current} if current.num_samples else {}

    @property
    def _current(self) -> int:
        return self.num_samples // self._window

    def _record(self, p_C: NDArray[np.float32], clicked_C: NDArray[np.float32]) -> None:
        start = 0
        while start < len(p_C):
            room = self._window - self.num_samples % self._window
            part = slice(start, start + room)
            self._windows.setdefault(self._current, Scores()).add(p_C[part], clicked_C[part])
            self.num_samples += len(p_C[part])
            start += room
