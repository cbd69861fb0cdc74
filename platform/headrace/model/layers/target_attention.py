"""Target attention: each candidate attends to its user's history, in two matrix products.

    B requests   C candidates of all requests   N candidates of the longest request
    S places of the history   D width   X anything

Candidates are laid out as [B, N] for the products, so that keys and values are never copied per
candidate.
"""

from __future__ import annotations

import torch
from torch import Tensor

from headrace.model.layers.indexing import rows_of

FAR = -1e4  # a masked logit


class Slots:
    """Where each candidate stands when requests are padded to the length of the longest."""

    def __init__(self, request_C: Tensor, num_requests: int) -> None:
        self._num_requests, self._request_C = num_requests, request_C
        self._slot_C: Tensor | None = None
        if num_requests == 1:
            self._longest = len(request_C)
            return
        count_B = torch.bincount(request_C, minlength=num_requests)
        self._longest = int(count_B.max())
        if self._longest * num_requests != len(request_C):
            start_B = count_B.cumsum(0) - count_B
            place_C = torch.arange(len(request_C), device=request_C.device) - start_B[request_C]
            self._slot_C = request_C * self._longest + place_C

    def of_request(self, value_BX: Tensor) -> Tensor:
        """[C, X]: to each candidate the value of its request; [1, X] where there is only one."""
        if self._num_requests == 1:
            return value_BX
        return rows_of(value_BX, self._request_C)

    def spread(self, value_CX: Tensor) -> Tensor:
        """[B, N, X]: the candidates' values in their slots, zeros in the slots left over."""
        if self._slot_C is not None:
            slots = self._num_requests * self._longest
            value_CX = value_CX.new_zeros(slots, value_CX.shape[1]).index_copy(
                0, self._slot_C, value_CX
            )
        return value_CX.view(self._num_requests, self._longest, -1)

    def gather(self, value_BNX: Tensor) -> Tensor:
        """[C, X]: the values of the candidates' slots."""
        value_CX = value_BNX.reshape(self._num_requests * self._longest, -1)
        return value_CX if self._slot_C is None else value_CX.index_select(0, self._slot_C)


def far(mask_X: Tensor) -> Tensor:
    """[X]: the additive mask of attention logits: 0 where the mask is True, else `FAR`."""
    return torch.zeros_like(mask_X, dtype=torch.float32).masked_fill(~mask_X, FAR)


def attend(query_BND: Tensor, key_BSD: Tensor, far_BNS: Tensor) -> Tensor:
    """[B, N, S]: how much each query looks at each place; the sum over places is 1.

    A query with no place to look at must not occur: the request's own place is always there.
    """
    scale = query_BND.shape[-1] ** -0.5
    logit_BNS = torch.baddbmm(far_BNS, query_BND, key_BSD.transpose(1, 2), alpha=scale)
    return logit_BNS.softmax(-1)
