"""A learner under guard: samples in, versions out that are no worse than the one served.

Samples are thinned (`share_limit`), learned, and scored on the way (`learner`); before a version is
published the guard says whether it may be. What the guard compares with is a copy of the version
that is served.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from headrace.application.current import APPLICATION
from headrace.application.sources import TWO_TOWER
from headrace.catalogue.words import ContentTable
from headrace.learning.guard import NOTHING, WINDOW, Guard, Scored
from headrace.learning.learner import OnlineLearner, probabilities
from headrace.learning.share_limit import ShareLimit
from headrace.learning.slices import SliceScores
from headrace.model.batch import Batch, batch_of_samples
from headrace.model.calibration import make_calibration
from headrace.model.config import RankerConfig
from headrace.model.ranker import Ranker
from headrace.sample import Sample

CLICK_COLUMN: Final = 0  # of the heads, the first of which is the click's
SHOWN, DRAWN = "", "of what was drawn: "  # what a guard looks at, as its verdict begins


@dataclass(frozen=True, slots=True)
class Pace:
    """Impressions per step, per progressive window, and how long a changed world is not learned."""

    batch_size: int
    window: int
    patience_ms: int


class GuardedLearner:
    """An online learner, the limits of who teaches it, and the guard of its versions."""

    def __init__(
        self,
        config: RankerConfig,
        content: ContentTable,
        seed: int,
        pace: Pace,
        slices: SliceScores | None = None,
    ) -> None:
        self._published = _Published(config)
        has_towers = TWO_TOWER in APPLICATION.sources
        catalogue = content if has_towers else None
        self.learner = OnlineLearner(config, seed, pace.window, content=catalogue)
        self.limit, self.slices = ShareLimit(), slices or SliceScores(config.surfaces)
        self.num_rolled_back = 0  # impressions that were learned and given up again
        self._config, self._content, self._pace = config, content, pace
        self._guards = {DRAWN: Guard(pace.patience_ms), SHOWN: Guard(pace.patience_ms)}
        self._since: deque[tuple[Batch, NDArray[np.float32]]] = deque()  # it was published
        self._good: bytes | None = None

    def learn(self, samples: Sequence[Sample]) -> list[Sample]:
        """Train once on samples of one input schema; those that were, in part or whole."""
        kept = self.limit.thinned(samples)
        start = 0
        sizes = np.cumsum([sample.num_impressions for sample in kept])
        while start < len(kept):
            before = sizes[start - 1] if start else 0
            num = int(np.searchsorted(sizes, before + self._pace.batch_size, side="right"))
            end = max(num, start + 1)
            self._step(batch_of_samples(kept[start:end], self._content, self._config))
            start = end
        return kept

    def verdict(self, now_ms: int) -> str:
        """Why this version is held, "" if it may be published; ask once per version."""
        if not _is_finite(self.learner.weights()):
            return "weights that are not finite"
        paired = self._paired()
        reasons = {of: guard.verdict(now_ms, paired.get(of)) for of, guard in self._guards.items()}
        return next((f"{of}{reason}" for of, reason in reasons.items() if reason), "")

    def published(self, weights: dict[str, Any]) -> None:
        """These weights are served from now on."""
        self._published.load(weights)
        self._since.clear()

    def served_probabilities(self, batch: Batch) -> NDArray[np.float32]:
        """[C, J]: the calibrated probabilities of a batch by the version that is served."""
        return self._published.probabilities(batch)

    def remember(self) -> None:
        """Keep the state of now, which the guard let pass, to go back to."""
        buffer = io.BytesIO()
        torch.save({"learner": self.learner.state(), "slices": self.slices.state()}, buffer)
        self._good = buffer.getvalue()

    def roll_back_if_due(self, now_ms: int) -> bool:
        """Go back to the last good state where the guard asks for it and there is one."""
        guards = self._guards.values()
        if self._good is None or not any(guard.must_roll_back(now_ms) for guard in guards):
            return False
        state = torch.load(io.BytesIO(self._good), weights_only=True)
        self.num_rolled_back += self.learner.num_samples - state["learner"]["num_samples"]
        self.learner.load_state(state["learner"])
        self.slices.load_state(state["slices"])
        for guard in guards:
            guard.rolled_back()
        self._since.clear()
        return True

    def state(self) -> dict[str, Any]:
        """Everything that `load_state` needs; save it only where it is a good one."""
        return {
            "learner": self.learner.state(),
            "limit": self.limit.state(),
            "guard": self._guards[SHOWN].state(),
            "guard_of_drawn": self._guards[DRAWN].state(),
            "num_rolled_back": self.num_rolled_back,
            "slices": self.slices.state(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Become the learner that `state` described, which is then its last good state."""
        self.learner.load_state(state["learner"])
        self.limit.load_state(state["limit"])
        self._guards[SHOWN].load_state(state["guard"])
        if "guard_of_drawn" in state:  # checkpoints from before anything was drawn lack it
            self._guards[DRAWN].load_state(state["guard_of_drawn"])
        self.num_rolled_back = state["num_rolled_back"]
        if "slices" in state:  # checkpoints from before there were any lack them
            self.slices.load_state(state["slices"])
        self.published(self.learner.weights())
        self.remember()

    def _step(self, batch: Batch) -> None:
        p_CJ = self.learner.learn(batch)
        if p_CJ is None:
            return
        for of, scored in _scored(p_CJ, batch).items():
            self._guards[of].take(scored)
        self.slices.take(p_CJ[:, CLICK_COLUMN], batch)
        self._since.append((batch, p_CJ))
        while len(self._since) > 1 and self._num_since() - len(self._since[0][1]) >= WINDOW:
            self._since.popleft()

    def _num_since(self) -> int:
        return sum(len(p_CJ) for _, p_CJ in self._since)

    def _paired(self) -> dict[str, tuple[Scored, Scored]]:
        """The scores of the learner and of the published version on the newest impressions, and on
        the newest of what was drawn."""
        if not self._published.is_loaded or not self._since:
            return {}
        paired = dict.fromkeys(self._guards, (NOTHING, NOTHING))
        for batch, p_CJ in self._since:
            both = _scored(p_CJ, batch), _scored(self._published.probabilities(batch), batch)
            for of, (mine, its) in paired.items():
                paired[of] = mine.then(both[0][of]), its.then(both[1][of])
        return paired


class _Published:
    """A copy of the version that is served."""

    def __init__(self, config: RankerConfig) -> None:
        self.is_loaded = False
        self._ranker, self._calibration = Ranker(config), make_calibration(config)

    def load(self, weights: dict[str, Any]) -> None:
        self._ranker.load_state(weights["ranker"])
        self._calibration.load_state(weights["calibration"])
        self.is_loaded = True

    def probabilities(self, batch: Batch) -> NDArray[np.float32]:
        return probabilities(self._ranker, self._calibration, batch)


def _scored(p_CJ: NDArray[np.float32], batch: Batch) -> dict[str, Scored]:
    """The clicks of a batch's impressions, and the choices of its drawn requests: a probability of
    being the chosen one for each candidate."""
    label_C = batch.candidates.label_CJ[:, CLICK_COLUMN].cpu().numpy()
    drawn, p_C = batch.candidates.drawn, p_CJ[:, CLICK_COLUMN]
    if drawn is None:
        return {DRAWN: NOTHING, SHOWN: Scored.of(p_C, label_C)}
    there_QX = (drawn.there_QX & drawn.known_QJ[:, :1]).cpu().numpy()
    chosen_QX = np.zeros(there_QX.shape, np.float64)
    chosen_QX[:, 0] = 1
    p_QX = drawn.choice(torch.from_numpy(p_C).to(drawn.log_q_QX.device)).cpu().numpy()
    choices = Scored(p_QX[there_QX].astype(np.float64), chosen_QX[there_QX])
    return {DRAWN: choices, SHOWN: Scored.of(p_C, label_C)}


def _is_finite(state: Any) -> bool:
    """Whether all numbers in a nested state are."""
    if isinstance(state, dict):
        return all(map(_is_finite, state.values()))
    return not isinstance(state, torch.Tensor) or bool(torch.isfinite(state).all())
