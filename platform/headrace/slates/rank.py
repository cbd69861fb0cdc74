"""The stage `rank`: FuseRank's probabilities and scores for the candidates, the best first.

C candidates   D draws   J scalar heads   T past events
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headrace.catalogue.table.table import ItemTable
from headrace.errors import ServiceError
from headrace.events.declared import word_keys
from headrace.features.aggregation.asked import AskedItems, Groups, Requests
from headrace.features.aggregation.facts import Ints
from headrace.features.inputs import RequestFeatures, assemble
from headrace.keys import key
from headrace.model.batch import Batch, BatchRequest, make_request_batch
from headrace.model.calibration import PlattBank
from headrace.model.config import RankerConfig
from headrace.model.ranker import Scored
from headrace.pipeline.context import Context, Snapshot, StatesByRow


class NoModel(ServiceError):
    """No version was published yet."""


class ItemSides(Protocol):
    """The item side of a model, for requests whose items are rows of a catalogue."""

    def logits(self, request: BatchRequest, past_row_T: Ints, row_C: Ints) -> NDArray[np.float32]:
        """[C, K]: of the candidates of a request, and its past events."""
        ...

    def scored(self, batch: Batch) -> Scored:
        """The ranker's own forward of a batch, with what the last layer reads."""
        ...


class RankingModel(Protocol):
    """A ranker with its calibration and weights, ready to rank rows of a catalogue."""

    @property
    def config(self) -> RankerConfig: ...
    @property
    def items(self) -> ItemSides: ...
    @property
    def calibration(self) -> PlattBank: ...
    @property
    def weight_J(self) -> NDArray[np.float32]: ...
    @property
    def value_J(self) -> NDArray[np.float32] | None: ...
    @property
    def deviation_JRS(self) -> Tensor | None: ...  # draws of the last layer's weights

    def of_impression(self, p_XJ: NDArray[np.float32]) -> NDArray[np.float32]:
        """[X, J]: the heads' probabilities, none of them given a click any more."""
        ...

    def scores(
        self, p_XJ: NDArray[np.float32], price_micros_X: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """[X]: the order of slates, from probabilities of an impression and the items' prices."""
        ...


class GroupsByRow(Protocol):
    """States of categories and authors by the catalogue rows of their items."""

    def of_items(self, catalogue: ItemTable, row_C: Ints) -> Groups | None:
        """The groups of the items in these rows; None where nothing reads them."""
        ...


class RankSnapshot(Snapshot, Protocol):
    """A snapshot with a model and the states that it reads."""

    @property
    def model(self) -> RankingModel | None: ...
    @property
    def states(self) -> StatesByRow: ...
    @property
    def groups(self) -> GroupsByRow: ...


@dataclass(slots=True, kw_only=True)
class RankContext(Context):
    """The context of a request that is ranked."""

    snapshot: RankSnapshot
    history_3T: Ints | None = None  # of the user as the ranker reads it, once that was made


class Draws(Protocol):
    """Draws of the scores of candidates, from the posterior of a model."""

    def scores(
        self, context: RankContext, batch: Batch, scored: Scored, model: RankingModel
    ) -> NDArray[np.float32]:
        """[D, C]: a row per draw."""
        ...


def rank(context: RankContext, draws: Draws | None = None) -> None:
    """Give the candidates their features, probabilities and scores, and put the best first; with
    `draws` also the scores that they may have.

    Raises `NoModel` where there is none: they have features then, and the order that they came in.
    """
    candidates, model = context.candidates, context.snapshot.model
    features = inputs(context)
    candidates.dense_CF, context.history_3T = features.dense_NF, features.history_3T
    if model is None:
        raise NoModel("there is no model yet")
    if not len(candidates):
        return
    if draws is None:
        p_CJ = probabilities(context, features, model)
    else:
        p_CJ, candidates.drawn_DC = drawn(context, features, model, draws)
    candidates.p_CJ = model.of_impression(p_CJ)
    price_micros_C = context.catalogue.numbers("price_micros", candidates.row_C)
    candidates.score_C = model.scores(candidates.p_CJ, price_micros_C)
    candidates.keep(np.argsort(-candidates.score_C, kind="stable"), "rank")


def inputs(context: RankContext) -> RequestFeatures:
    """The ranker's features of the user and the candidates on the request's surface."""
    row_C = context.candidates.row_C
    requests = Requests.of([context.now_ms], [context.surface], [context.told])
    catalogue, request_C = context.catalogue, np.zeros(len(row_C), np.int64)
    items = AskedItems(request_C, catalogue.slots(row_C), catalogue.attributes(row_C))
    states = context.snapshot.states.take(row_C)
    groups = context.snapshot.groups.of_items(catalogue, row_C)
    (features,) = assemble(context.user.state_1, states, requests, items, groups)
    return features


def ranker_request(
    context: RankContext, features: RequestFeatures, model: RankingModel
) -> BatchRequest:
    """The request as the model reads it, without its items."""
    return BatchRequest(
        key(context.user_id),
        context.user.word_keys,
        (),
        features,
        surface=model.config.surface_number(context.surface),
        context_words=word_keys(context.told),
    )


def probabilities(
    context: RankContext, features: RequestFeatures, model: RankingModel
) -> NDArray[np.float32]:
    """[C, J]: of each scalar head's action, for the candidates of a request."""
    request = ranker_request(context, features, model)
    past_row_T = context.catalogue.rows_of_keys(features.history_3T[0])
    logit_CK = model.items.logits(request, past_row_T, context.candidates.row_C)
    return model.calibration.of_request(logit_CK, request.surface)


def drawn(
    context: RankContext, features: RequestFeatures, model: RankingModel, draws: Draws
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """[C, J], [D, C]: the probabilities, and draws of the scores."""
    request = ranker_request(context, features, model)
    past_row_T = context.catalogue.rows_of_keys(features.history_3T[0])
    batch = make_request_batch(request, past_row_T, context.candidates.row_C)
    with torch.inference_mode():
        scored = model.items.scored(batch)
        p_CJ: NDArray[np.float32] = model.calibration(
            scored.logit_CK.cpu(), batch.surface_C
        ).numpy()
        return p_CJ, draws.scores(context, batch, scored, model)
