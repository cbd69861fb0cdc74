"""The stage `rank`: FuseRank's probabilities and scores for the candidates, the best first.

C candidates   D draws   J scalar heads   T past events
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from headrace.errors import ServiceError
from headrace.events.declared import word_keys
from headrace.features.aggregation.asked import AskedItems, Requests
from headrace.features.inputs import RequestFeatures, assemble
from headrace.keys import key
from headrace.model.batch import Batch, BatchRequest, make_request_batch
from serving.replica.models import LiveModel
from serving.stages.context import ReplicaContext
from serving.stages.draws import Draws


class NoModel(ServiceError):
    """No version was published yet."""


def rank(context: ReplicaContext, draws: Draws | None = None) -> None:
    """Give the candidates their features, probabilities and scores, and put the best first; with
    `draws` also the scores that they may have for all that is known.

    Raises `NoModel` where there is none: they have features then, and the order that they came in.
    """
    candidates, model = context.candidates, context.snapshot.model
    features = inputs(context)
    candidates.dense_CF, context.history_3T = features.dense_NF, features.history_3T
    if model is None:
        raise NoModel("there is no model yet")
    if not len(candidates):
        return
    batch = request_batch(context, features, model)
    if draws is None:
        p_CJ = probabilities(batch, model)
    else:
        p_CJ, candidates.drawn_DC = drawn(context.request_id, batch, model, draws)
    candidates.p_CJ = model.of_impression(p_CJ)
    candidates.score_C = model.scores(candidates.p_CJ)
    candidates.keep(np.argsort(-candidates.score_C, kind="stable"), "rank")


def inputs(context: ReplicaContext) -> RequestFeatures:
    """The ranker's features of the user and the candidates on the request's surface."""
    row_C = context.candidates.row_C
    requests = Requests.of([context.now_ms], [context.surface], [context.told])
    catalogue, request_C = context.catalogue, np.zeros(len(row_C), np.int64)
    items = AskedItems(request_C, catalogue.slots(row_C), catalogue.attributes(row_C))
    states = context.snapshot.states.take(row_C)
    groups = context.snapshot.groups.of_items(catalogue, row_C)
    (features,) = assemble(context.user.state_1, states, requests, items, groups)
    return features


def request_batch(context: ReplicaContext, features: RequestFeatures, model: LiveModel) -> Batch:
    """The model's input batch; items are rows of the catalogue, those that left it are row 0."""
    number = model.manifest.model.surface_number(context.surface)
    words = context.user.word_keys
    request = BatchRequest(
        key(context.user_id),
        words,
        (),
        features,
        surface=number,
        context_words=word_keys(context.told),
    )
    history_rows_T = context.catalogue.rows_of_keys(features.history_3T[0])
    return make_request_batch(request, history_rows_T, context.candidates.row_C)


def drawn(
    request_id: str, batch: Batch, model: LiveModel, draws: Draws
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """[C, J], [D, C]: the probabilities, and draws of the scores."""
    with torch.inference_mode():
        scored = model.items.scored(batch)
        p_CJ: NDArray[np.float32] = model.calibration(
            scored.logit_CK.cpu(), batch.surface_C
        ).numpy()
        return p_CJ, draws.scores(request_id, batch, scored, model)


def probabilities(batch: Batch, model: LiveModel) -> NDArray[np.float32]:
    """[C, J]: of each scalar head's action, for the candidates of a batch."""
    with torch.inference_mode():
        logit_CK = model.items.logits(batch)
        p_CJ: NDArray[np.float32] = model.calibration(logit_CK, batch.surface_C).numpy()
    return p_CJ
