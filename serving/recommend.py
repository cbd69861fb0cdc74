"""Recommendation: a request becomes a slate, in this order.

features -> candidates -> filter -> rank -> slate

C candidates   I rows of the catalogue   K category slots
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from headrace.api.slate import RankedItem, RecommendRequest, Slate
from headrace.catalogue.words import user_token_keys
from headrace.errors import StoreUnavailable
from headrace.event import ImpressionEvent, Served, Shown
from headrace.features.aggregation.accumulators import State
from headrace.features.inputs import RequestFeatures, assemble
from headrace.features.rows.state_row import decode_rows
from headrace.features.table import SCHEMA, USER_LAYOUT
from headrace.keys import key, surface_code
from headrace.model.batch import Batch, Request, make_request_batch
from serving.breaker import Breaker
from serving.live import Catalogue, LiveModel, View

if TYPE_CHECKING:  # Feast takes seconds to import: the replica does, the deploying process need not
    from headrace.feast_adapter.online import OnlineStore

SHARE_OF_CATEGORIES = 0.5  # of the candidates: from the user's best categories; the rest trends
NUM_BEST_CATEGORIES = 3
NO_TIME = np.zeros(1, np.int64)  # for what does not depend on it


@dataclass(frozen=True, slots=True)
class User:
    """What is known of the requesting user."""

    user_id: str
    state_1: State
    token_keys: tuple[int, ...]
    degraded: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ranked:
    """Candidates with their probabilities, in the order of the catalogue rows given."""

    rows_C: NDArray[np.int64]
    p_click_C: NDArray[np.float32] | None  # None: no model yet
    score_C: NDArray[np.float32] | None  # what slates are ordered by
    features: RequestFeatures


class Stopwatch:
    """Milliseconds per stage, as they are reported in the answer."""

    def __init__(self) -> None:
        self._started = self._last = time.perf_counter()
        self.stage_ms: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """End a stage that began at the end of the one before."""
        now = time.perf_counter()
        self.stage_ms[stage] = round((now - self._last) * 1_000, 3)
        self._last = now

    def total(self) -> dict[str, float]:
        """The stages and their total."""
        total_ms = (time.perf_counter() - self._started) * 1_000
        return {**self.stage_ms, "total": round(total_ms, 3)}


class Recommender:
    """Makes slates from the catalogue for the users of the online store."""

    def __init__(
        self,
        store: OnlineStore,
        catalogue: Catalogue,
        max_candidates: int,
        breaker: Breaker | None = None,
    ) -> None:
        self._store, self._catalogue = store, catalogue
        self._max_candidates = max_candidates
        self._breaker = breaker or Breaker("the online store", lambda: None)

    def recommend(
        self, request: RecommendRequest, view: View, now_ms: int, marks: tuple[str, ...] = ()
    ) -> tuple[Slate, ImpressionEvent | None]:
        """The slate, and the impression to log where the request asks for it. `marks` are what
        else the slate has to do without."""
        watch = Stopwatch()
        user = self.user(request.user_id)
        watch.lap("features")
        candidate_rows = self._candidates(user, view, exclude=request.exclude)
        watch.lap("candidates")
        ranked = self.rank(user, candidate_rows, view, now_ms, request.surface)
        order = _best_first(ranked)[: request.num_items]
        watch.lap("ranking")
        degraded = user.degraded + (() if view.model else ("no_model",)) + marks
        slate = Slate(
            request_id=uuid.uuid4().hex,
            user_id=request.user_id,
            model_version=view.model.manifest.version if view.model else 0,
            model_age_ms=now_ms - view.model.manifest.created_ms if view.model else None,
            items=tuple(
                self._ranked_item(ranked, place, position) for position, place in enumerate(order)
            ),
            degraded=degraded,
            stage_ms=watch.total(),
        )
        impression = self._impression(request, slate, ranked, order, now_ms)
        return slate, impression if request.record and slate.items else None

    def user(self, user_id: str) -> User:
        """The user's state and attributes; empty, and marked, where the store does not answer."""
        try:
            stored = self._breaker.call(lambda: self._store.read_users([user_id]))
        except StoreUnavailable:
            return User(user_id, USER_LAYOUT.new(1), (), ("no_features",))
        rows = [row for row in stored.rows if row]
        state_1 = decode_rows(rows, USER_LAYOUT)["state"] if rows else USER_LAYOUT.new(1)
        return User(user_id, state_1, user_token_keys(stored.attributes[0]), ())

    def rank(
        self,
        user: User,
        rows_C: NDArray[np.int64],
        view: View,
        now_ms: int,
        surface: str,
    ) -> Ranked:
        """Probabilities of a click, and scores, for these catalogue rows on a surface."""
        features = self.features(user, rows_C, view, now_ms, surface)
        if view.model is None or not len(rows_C):
            return Ranked(rows_C, None, None, features)
        p_CJ = probabilities(self.batch(user, rows_C, features, view.model, surface), view.model)
        return Ranked(rows_C, p_CJ[:, 0], view.model.scores(p_CJ), features)

    def features(
        self, user: User, rows_C: NDArray[np.int64], view: View, now_ms: int, surface: str
    ) -> RequestFeatures:
        """What the ranker reads of the user and these catalogue rows on a surface."""
        (features,) = assemble(
            user.state_1,
            view.state_I[rows_C],
            slot_NS=self._catalogue.slot_IS[rows_C],
            surface_B=np.array([surface_code(surface)]),
            request_N=np.zeros(len(rows_C), np.int64),
            now_ms_B=np.array([now_ms]),
        )
        return features

    def batch(
        self,
        user: User,
        rows_C: NDArray[np.int64],
        features: RequestFeatures,
        model: LiveModel,
        surface: str,
    ) -> Batch:
        """What the model reads; items are rows of the catalogue, those that left it are row 0."""
        number = model.manifest.model.surface_number(surface)
        request = Request(key(user.user_id), user.token_keys, (), features, surface=number)
        row_of_key = self._catalogue.row_of_key
        history_rows_T = [row_of_key.get(k, 0) for k in features.history_3T[0].tolist()]
        return make_request_batch(request, np.array(history_rows_T), rows_C)

    def _candidates(self, user: User, view: View, exclude: Sequence[str]) -> NDArray[np.int64]:
        """Trending items and those of the user's best categories, without what is filtered."""
        removed = self._filtered_rows(user, exclude)
        limit = self._max_candidates
        rates_K = USER_LAYOUT.value("user_category_rates", user.state_1, NO_TIME)[0]
        best = [slot for slot in np.argsort(-rates_K)[:NUM_BEST_CATEGORIES] if rates_K[slot] > 0]
        liked = {row for slot in best for row in self._catalogue.rows_of_slot[slot].tolist()}
        trending = [row for row in view.trending_rows.tolist() if row not in removed]
        of_categories = [row for row in trending if row in liked]
        chosen = dict.fromkeys(of_categories[: int(limit * SHARE_OF_CATEGORIES)])
        for row in trending:
            if len(chosen) >= limit:
                break
            chosen[row] = None
        return np.fromiter(chosen, dtype=np.int64, count=len(chosen))

    def _filtered_rows(self, user: User, exclude: Sequence[str]) -> set[int]:
        """What must not be shown: items of the user's history, and those the request excludes."""
        history_4T = USER_LAYOUT.value("user_history", user.state_1, NO_TIME)[0]
        seen = {self._catalogue.row_of_key.get(item_key, 0) for item_key in history_4T[0].tolist()}
        return seen | {self._catalogue.row_of_id.get(item_id, 0) for item_id in exclude}

    def _ranked_item(self, ranked: Ranked, place: int, position: int) -> RankedItem:
        item = self._catalogue.items[ranked.rows_C[place]]
        p_click = None if ranked.p_click_C is None else float(ranked.p_click_C[place])
        score = None if ranked.score_C is None else float(ranked.score_C[place])
        return RankedItem(item.item_id, item.title, item.categories, position, p_click, score)

    def _impression(
        self,
        request: RecommendRequest,
        slate: Slate,
        ranked: Ranked,
        order: NDArray[np.int64],
        now_ms: int,
    ) -> ImpressionEvent | None:
        """What was shown and with which features, for the training sample of this request."""
        if not slate.items:
            return None
        dense = np.ascontiguousarray(ranked.features.dense_NF[order]).tobytes()
        return ImpressionEvent(
            event_id=slate.request_id,
            event_time_ms=now_ms,
            user_id=request.user_id,
            request_id=slate.request_id,
            items=tuple(Shown(item.item_id, item.position) for item in slate.items),
            surface=request.surface,
            model_version=slate.model_version,
            served=Served(SCHEMA, dense, ranked.features.history_3T.tobytes()),
        )


def probabilities(batch: Batch, model: LiveModel) -> NDArray[np.float32]:
    """[C, J]: of each scalar head's action, for the candidates of a batch of `Recommender`."""
    with torch.inference_mode():
        logit_CK = model.ranker.serve(batch, model.items)
        p_CJ: NDArray[np.float32] = model.calibration(logit_CK, batch.surface_C).numpy()
    return p_CJ


def _best_first(ranked: Ranked) -> NDArray[np.int64]:
    """Places of the candidates by score; in the order they came while there is no model."""
    if ranked.score_C is None:
        return np.arange(len(ranked.rows_C))
    return np.argsort(-ranked.score_C, kind="stable")
