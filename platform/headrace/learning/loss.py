"""Losses: one per kind of head, summed over the rows whose label is known.

    C candidates   K logits   J heads   Q drawn requests

A label that is NaN is unknown: it has no part in the loss and gives no gradient. Sums are divided
by the size of a full batch, not by that of the batch: a sample moves the weights as far whether it
comes alone or among others, so that the pace of arrival does not decide what is learned.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from headrace.model.config import Head
from headrace.model.drawn import DrawnRequests, chosen_score

MIN_LOG_P = -1e-6  # a probability that rounds to 1 still has a finite log of its complement


def heads_loss(
    heads: Sequence[Head],
    logit_CK: Tensor,
    label_CJ: Tensor,
    full_batch: int,
    drawn: DrawnRequests | None = None,
) -> Tensor:
    """The weighted sum of the heads' losses, each a sum over candidates divided by `full_batch`.

    A batch that is larger is divided by its own size: none moves the weights further than one that
    is full. Zero for a head without a known label.
    """
    loss = logit_CK.new_zeros(())
    first = 0
    for place, head in enumerate(heads):
        logit_CK_head = logit_CK[:, first : first + head.num_logits]
        first += head.num_logits
        label_C = label_CJ[:, place]
        match head.kind:
            case "binary":
                part = binary_loss(logit_CK_head[:, 0], label_C)
            case "after_click":
                part = entire_space_loss(logit_CK[:, 0], logit_CK_head[:, 0], label_C)
            case "categorical":
                part = categorical_loss(logit_CK_head, label_C)
        if drawn is not None and head.kind != "categorical":
            score_C = chosen_score(head, logit_CK[:, 0], logit_CK_head[:, 0])
            part = part + choice_loss(score_C, drawn, drawn.known_QJ[:, place])
        loss = loss + head.weight * part
    return loss / max(full_batch, len(label_CJ))


def binary_loss(logit_C: Tensor, label_C: Tensor) -> Tensor:
    """Binary cross-entropy with logits, summed."""
    known_C, label_C = _known(label_C)
    return _total(
        functional.binary_cross_entropy_with_logits(logit_C, label_C, reduction="none"), known_C
    )


def entire_space_loss(click_C: Tensor, after_click_C: Tensor, label_C: Tensor) -> Tensor:
    """Cross-entropy of "clicked and then it happened", whose probability is the product; summed.

    It is defined on every impression, also those without a click, so that the head is not trained
    on clicked ones alone (ESMM: Ma et al., 2018).
    """
    known_C, label_C = _known(label_C)
    log_p_C = functional.logsigmoid(click_C) + functional.logsigmoid(after_click_C)
    log_not_C = torch.log(-torch.expm1(log_p_C.clamp_max(MIN_LOG_P)))
    return _total(-(label_C * log_p_C + (1 - label_C) * log_not_C), known_C)


def choice_loss(score_C: Tensor, drawn: DrawnRequests, known_Q: Tensor) -> Tensor:
    """Cross-entropy of which candidate of a drawn request was chosen; summed over the known ones.

    A softmax over the scores less log q (Bengio and Senecal, 2008; Yi et al., 2019). A constant of
    the request changes nothing, so that how often something comes is learned from impressions only.
    """
    return _total(-drawn.corrected(score_C).log_softmax(1)[:, 0], known_Q)


def categorical_loss(logit_CK: Tensor, label_C: Tensor) -> Tensor:
    """Multi-class cross-entropy, summed; the label is the number of the class."""
    known_C, label_C = _known(label_C)
    return _total(functional.cross_entropy(logit_CK, label_C.long(), reduction="none"), known_C)


def _known(label_C: Tensor) -> tuple[Tensor, Tensor]:
    """Which labels are known, and the labels with zeros for the others."""
    known_C = ~label_C.isnan()
    return known_C, label_C.nan_to_num(0.0)


def _total(loss_C: Tensor, known_C: Tensor) -> Tensor:
    return torch.where(known_C, loss_C, 0).sum()
