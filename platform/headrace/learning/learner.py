"""The online learner: scores each batch first, then trains on it, once.

Every number it reports is progressive: made before the labels were used (progressive validation,
Blum et al., 1999), and as serving would have made it.

C candidates   K logits   J heads
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headrace.catalogue.words import ContentTable
from headrace.learning.adagrad import Adagrad
from headrace.learning.choices import ChoiceScores
from headrace.learning.factors.factor_log import FactorLog
from headrace.learning.last_layer_fit import LastLayerFit
from headrace.learning.loss import heads_loss
from headrace.learning.two_tower_fit import TwoTowerFit
from headrace.metrics import Scores
from headrace.metrics.ranking import RankedLists
from headrace.model.batch import Batch, moved
from headrace.model.calibration import PlattBank, make_calibration
from headrace.model.config import CLICK, RankerConfig
from headrace.model.drawn import DrawnRequests
from headrace.model.ranker import Ranker, Scored

FULL_BATCH = 256  # candidates whose losses, together, move the weights by a whole step
MAX_GRADIENT_NORM = 5.0


class OnlineLearner:
    """A ranker with its optimizer, calibration, and quality per window of impressions."""

    def __init__(
        self,
        config: RankerConfig,
        seed: int,
        window: int,
        device: str = "cpu",
        content: ContentTable | None = None,
    ) -> None:
        """A learner; two towers are trained beside the ranker where it has the catalogue."""
        self.ranker = Ranker(config, seed).to(device)
        self.calibration = make_calibration(config)
        self._factor_log = FactorLog()
        self.towers = None if content is None else TwoTowerFit(content)
        num_heads = len(config.scalar_heads)
        self._last_layer = LastLayerFit(self.ranker.last.group_sizes, num_heads, device)
        self.choices = ChoiceScores()
        self.num_samples = 0
        self.num_skipped = 0  # batches whose features or loss were not finite
        self._config, self._window = config, window
        self._names = [head.name for head in config.scalar_heads]
        self._windows: dict[str, dict[int, Scores]] = {name: {} for name in self._names}
        # Adagrad is fast at first and settles down by itself. Progressive AUC of nano after the
        # first fifth, MovieLens and KuaiRand: 0.7726, 0.6955; AdamW at 2e-3: 0.7717, 0.6939; at
        # 1e-3: 0.7708, 0.6958, but 0.687 instead of 0.740 in the first fifth of MovieLens.
        self._optimizer = Adagrad(self.ranker.parameters(), config.dense_learning_rate)

    def learn(self, batch: Batch) -> NDArray[np.float32] | None:
        """Score the batch into the progressive windows, then train on it; [C, J]: these scores.

        A batch whose features or loss are not finite leaves no trace but its count, and has none.
        """
        batch = batch.to(self.ranker.device)
        dense_CF, label_CJ = batch.candidates.dense_CF, batch.candidates.label_CJ
        if not torch.isfinite(dense_CF).all():
            self.num_skipped += 1
            return None
        if self.num_samples == 0:
            self.ranker.observe(batch)
        served = as_served(self.ranker, batch) if self._config.modality_dropout else None
        self.ranker.train()
        scored = self.ranker(batch, dropout_seed=self.num_samples)
        loss = self._loss(scored, batch)
        if not torch.isfinite(loss):
            self.num_skipped += 1
            for table in self.ranker.tables.values():
                table.forget()
            return None
        self._step(loss, len(label_CJ))
        self.ranker.observe(batch)
        self._factor_log.add(batch)
        if self.towers is not None:
            self.towers.learn(batch)
        self.ranker.factors = self._factor_log.refitted(self.ranker.factors)
        return self._take_in(served or scored, batch)

    def predict(self, batch: Batch) -> NDArray[np.float32]:
        """[C, J]: the calibrated probabilities of the scalar heads, as serving makes them."""
        return probabilities(self.ranker, self.calibration, batch)

    def take_windows(self, head: str = CLICK) -> dict[int, Scores]:
        """A head's quality per window number, of the windows that changed since the last call.

        The last one may go on growing; it comes again, whole, when it has. They are kept until
        they are taken, so whoever configures a head takes its windows.
        """
        changed = self._windows[head]
        self._windows[head] = {n: s for n, s in changed.items() if n == self._current}
        return dict(changed)

    def take_choice_windows(self) -> dict[int, RankedLists]:
        """The same of drawn requests: where their chosen ones came."""
        return self.choices.take_windows(self._current)

    def weights(self) -> dict[str, Any]:
        """The weights to serve: the ranker without its optimizer's state, the calibration, how sure
        the last layer is, and the towers."""
        towers = {} if self.towers is None else self.towers.weights()
        return {
            "last_layer_deviations": self.deviations(),
            "ranker": self.ranker.state(with_optimizer=False),
            "calibration": self.calibration.state(),
            **({"towers": towers} if towers else {}),
        }

    def deviations(self) -> Tensor | None:
        """[J, R, S]: draws of how far the last layer's weights may lie off, None before any."""
        deviation_JRS = self._last_layer.deviations()
        return None if deviation_JRS is None else deviation_JRS.cpu()

    def state(self) -> dict[str, Any]:
        """Everything that `load_state` needs to go on as if nothing had happened."""
        current = {
            name: windows.get(self._current, Scores()).to_bytes()
            for name, windows in self._windows.items()
        }
        return {
            "ranker": self.ranker.state(with_optimizer=True),
            "calibration": self.calibration.state(),
            "optimizer": self._optimizer.state_dict(),
            "factor_log": self._factor_log.state(),
            "last_layer": self._last_layer.state(),
            "towers": None if self.towers is None else self.towers.state(),
            "num_samples": self.num_samples,
            "num_skipped": self.num_skipped,
            "windows": current,
            "choices": self.choices.state(self._current),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Become the learner that `state` described."""
        self.ranker.load_state(state["ranker"])
        self.calibration.load_state(state["calibration"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._factor_log.load_state(state["factor_log"])
        self._last_layer.load_state(state["last_layer"])
        self.num_samples, self.num_skipped = state["num_samples"], state["num_skipped"]
        for name, payload in state["windows"].items():
            current = Scores.from_bytes(payload)
            self._windows[name] = {self._current: current} if current.num_samples else {}
        if self.towers is not None and state.get("towers"):  # older states have none
            self.towers.load_state(state["towers"])
        if "choices" in state:  # states from before anything was drawn lack it
            self.choices.load_state(state["choices"], self._current)

    @property
    def _current(self) -> int:
        return self.num_samples // self._window

    def _loss(self, scored: Scored, batch: Batch) -> Tensor:
        """The network's loss with the position's bias, which belongs to training only."""
        label_CJ, drawn = batch.candidates.label_CJ, batch.candidates.drawn
        return heads_loss(self._config.heads, _with_position(scored), label_CJ, FULL_BATCH, drawn)

    def _take_in(self, served: Scored, batch: Batch) -> NDArray[np.float32]:
        """Record the served probabilities, [C, J], and fit the calibration and the last layer."""
        num_heads = len(self._names)
        label_CJ = self._told(batch.candidates.label_CJ[:, :num_heads])
        logit_CJ, surface_C = served.logit_CK.detach()[:, :num_heads].cpu(), batch.surface_C.cpu()
        p_CJ: NDArray[np.float32] = self.calibration(logit_CJ, surface_C).numpy()
        drawn = self._chosen(p_CJ, batch)
        self._record(p_CJ, label_CJ.cpu().numpy())
        self.calibration.learn(logit_CJ, label_CJ.cpu(), surface_C)
        offset_CJ = _with_position(served).detach()[:, :num_heads]
        if self._last_layer.learn(served.read_CR, offset_CJ, label_CJ, drawn):
            self.ranker.last.weight_RK[:, :num_heads] = self._last_layer.weight_JR.T
        return p_CJ

    def _chosen(self, p_CJ: NDArray[np.float32], batch: Batch) -> DrawnRequests | None:
        """Record where the chosen ones of drawn requests came; returns the requests as far as they
        say something of each head's own logit."""
        drawn = batch.candidates.drawn
        if drawn is None:
            return None
        after = torch.tensor(self._config.after_click, device=drawn.known_QJ.device)
        known_QJ = drawn.known_QJ[:, : len(after)]
        self.choices.take(p_CJ[:, 0], moved(drawn, torch.device("cpu")), self._current)
        surface_Q = batch.surface_C[drawn.candidate_QX[:, 0]]
        self.calibration.count_drawn(known_QJ.cpu(), surface_Q.cpu())
        return replace(drawn, known_QJ=known_QJ & ~after)

    def _told(self, label_CJ: Tensor) -> Tensor:
        """The labels that say something of each head's own probability.

        What would have followed a click is not known where there was none.
        """
        after = torch.tensor(self._config.after_click, device=label_CJ.device)
        not_clicked_C1 = label_CJ[:, :1] != 1
        return label_CJ.masked_fill(after & not_clicked_C1, torch.nan)

    def _step(self, loss: Tensor, num_impressions: int) -> None:
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.ranker.parameters(), MAX_GRADIENT_NORM)
        self._optimizer.step()
        for table in self.ranker.tables.values():
            table.step(table.now + num_impressions)

    def _record(self, p_CJ: NDArray[np.float32], label_CJ: NDArray[np.float32]) -> None:
        """Each impression counts in the window of its number, for the heads whose label it has."""
        start = 0
        while start < len(p_CJ):
            room = self._window - self.num_samples % self._window
            part = slice(start, start + room)
            for column, name in enumerate(self._names):
                label_N = label_CJ[part, column]
                known_N = ~np.isnan(label_N)
                scores = self._windows[name].setdefault(self._current, Scores())
                scores.add(p_CJ[part, column][known_N], label_N[known_N])
            self.num_samples += len(p_CJ[part])
            start += room


def _with_position(scored: Scored) -> Tensor:
    """[C, K]: the network's logits plus the position bias, where the position is known."""
    if scored.position_CK is None:
        return scored.network_CK
    return scored.network_CK + scored.position_CK


def as_served(ranker: Ranker, batch: Batch) -> Scored:
    """The scores of a batch without modality dropout."""
    ranker.eval()
    with torch.no_grad():
        scored: Scored = ranker(batch)
    return scored


def probabilities(ranker: Ranker, calibration: PlattBank, batch: Batch) -> NDArray[np.float32]:
    """[C, J]: the calibrated probabilities of the scalar heads, as serving makes them."""
    batch = batch.to(ranker.device)
    num_heads = len(ranker.config.scalar_heads)
    logit_CJ = as_served(ranker, batch).logit_CK[:, :num_heads].cpu()
    p_CJ: NDArray[np.float32] = calibration(logit_CJ, batch.surface_C.cpu()).numpy()
    return p_CJ
