"""How the last layer is solved: a Bayesian logistic regression per head, in one pass.

The posterior is taken as normal, its precision and moment are sums over the samples (online
Laplace approximation: Spiegelhalter and Lauritzen, 1990), and what the network says is an offset
(a neural network with a Bayesian last layer: Snoek et al., 2015). How far the weights of a group
of what is read lie from zero is fitted as well (evidence: MacKay, 1992; a step of expectation and
maximisation per solution): a group that says nothing
stays near zero by itself, whatever the log. Samples are forgotten slowly, as the network moves.

    C candidates   J heads   R numbers that are read   G groups of them   Q drawn requests
    X candidates of one   S draws of the posterior
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor

from headrace.model.drawn import DrawnRequests

FIRST_SAMPLES: Final = 4_000  # that are left out, as the network's layers still turn
GROWTH: Final = 1.25  # samples from one solution to the next, so that they cost a share of learning
MAX_PENDING: Final = 8_192
MEMORY: Final = 1 << 18  # samples after which one counts by a factor of e less
EVERY: Final = 4  # one sample of so many stands for the curvature of all, which changes slowly
FIRST_RIDGE: Final = 300.0  # of each group, before its own is fitted
MIN_VARIANCE, MAX_VARIANCE = 1e-6, 1.0  # of a group's weights
NUM_DEVIATIONS: Final = 64  # draws that stand for the posterior: a deviation errs by 9 %
MIN_CURVATURE: Final = 1e-3  # of a sample, so that one that was sure counts a little, too
MAX_CONDITION: Final = 1e12  # of the precision in units of its diagonal; above, rounding rules


class LastLayerFit:
    """The weights of the last layer for the scalar heads, and the sums that they follow from."""

    def __init__(self, group_sizes: Sequence[int], num_heads: int, device: str = "cpu") -> None:
        size_G = torch.tensor(group_sizes, device=device)
        self._group_R = torch.repeat_interleave(size_G)
        self._size_G = size_G.double()
        self._num_samples, self._next_solution = 0, FIRST_SAMPLES
        self._num_requests = self._num_drawn = 0  # drawn requests, and how many samples they were
        like = torch.zeros(num_heads, len(self._group_R), dtype=torch.float64, device=device)
        self.weight_JR = like
        self._moment_JR = like.clone()
        self._precision_JRR = torch.diag_embed(like)  # of the samples alone
        self._ridge_JG = like.new_full((num_heads, len(size_G)), FIRST_RIDGE)

    def learn(
        self,
        read_CR: Tensor,
        offset_CJ: Tensor,
        label_CJ: Tensor,
        drawn: DrawnRequests | None = None,
    ) -> bool:
        """Take in samples, and say whether the weights have changed; a NaN label is unknown.

        Samples among which something that is read is not finite leave no trace.
        """
        if self._num_samples < FIRST_SAMPLES:
            self._num_samples += len(read_CR)
            return False
        logit_CJ = offset_CJ + read_CR @ self.weight_JR.T.float()
        gradient_JR, precision_JRR = self._sums(read_CR, logit_CJ, label_CJ, drawn)
        if not torch.isfinite(gradient_JR).all():
            return False
        kept = math.exp(-len(read_CR) / MEMORY)
        self._precision_JRR.mul_(kept).add_(precision_JRR)
        pulled_JR = (precision_JRR.double() @ self.weight_JR[..., None])[..., 0]
        self._moment_JR.mul_(kept).add_(gradient_JR).add_(pulled_JR)
        self._num_samples += len(read_CR)
        if self._num_samples < self._next_solution:
            return False
        pending = min(int(self._num_samples * (GROWTH - 1)), MAX_PENDING)
        self._next_solution = self._num_samples + pending
        return self._solve()

    def _sums(
        self, read_CR: Tensor, logit_CJ: Tensor, label_CJ: Tensor, drawn: DrawnRequests | None
    ) -> tuple[Tensor, Tensor]:
        """The gradient and the curvature of these samples."""
        if drawn is None:
            return self._of_impressions(read_CR, logit_CJ, label_CJ)
        shown_C = torch.ones(len(read_CR), dtype=torch.bool, device=read_CR.device)
        shown_C[drawn.candidate_QX] = False
        of_shown = self._of_impressions(read_CR[shown_C], logit_CJ[shown_C], label_CJ[shown_C])
        of_drawn = self._of_choices(read_CR, logit_CJ, drawn)
        self._num_requests += len(drawn.candidate_QX)
        self._num_drawn += int((~shown_C).sum())
        return of_shown[0] + of_drawn[0], of_shown[1] + of_drawn[1]

    def _of_impressions(
        self, read_CR: Tensor, logit_CJ: Tensor, label_CJ: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The gradient and the curvature of the labels that are known."""
        known_CJ, p_CJ = ~label_CJ.isnan(), torch.sigmoid(logit_CJ)
        gradient_JR = torch.where(known_CJ, label_CJ - p_CJ, 0).T @ read_CR
        curvature_CJ = torch.where(known_CJ, (p_CJ * (1 - p_CJ)).clamp_min(MIN_CURVATURE), 0)
        some = slice((self._num_drawn - self._num_samples) % EVERY, None, EVERY)
        some_CR, some_CJ = read_CR[some], EVERY * curvature_CJ[some]
        return gradient_JR, (some_CR * some_CJ.T[..., None]).transpose(1, 2) @ some_CR

    def _of_choices(
        self, read_CR: Tensor, logit_CJ: Tensor, drawn: DrawnRequests
    ) -> tuple[Tensor, Tensor]:
        """The gradient and the curvature of drawn requests, whose labels are which was chosen: what
        is read counts as far as it differs from the mean of the request."""
        gradients, precisions = [], []
        read_QXR = read_CR[drawn.candidate_QX]
        for logit_C, known_Q in zip(logit_CJ.T, drawn.known_QJ.T, strict=False):
            p_QX = drawn.corrected(logit_C).softmax(1) * known_Q[:, None]
            mean_Q1R = (p_QX[..., None] * read_QXR).sum(1, keepdim=True)
            gradients.append((known_Q[:, None] * read_QXR[:, 0] - mean_Q1R[:, 0]).sum(0))
            root_XR = (EVERY * p_QX).sqrt()[..., None] * (read_QXR - mean_Q1R)
            some_XR = root_XR[-self._num_requests % EVERY :: EVERY].flatten(0, 1)
            precisions.append(some_XR.T @ some_XR)
        return torch.stack(gradients), torch.stack(precisions)

    def _solve(self) -> bool:
        """The weights, and from them and their variances the ridges of the next solution.

        They stay as they are where the precision is singular, or as good as: with one of a great
        condition number it depends on rounding, and so on the processor, what a solution says.
        """
        found = self._root()
        if found is None:
            return False
        scale_JR, root_JRR = found
        moment_JR1 = (scale_JR * self._moment_JR)[..., None]
        self.weight_JR = scale_JR * torch.cholesky_solve(moment_JR1, root_JRR)[..., 0]
        variance_JR = torch.cholesky_inverse(root_JRR).diagonal(dim1=1, dim2=2) * scale_JR.square()
        square_JR = self.weight_JR.square() + variance_JR
        square_JG = torch.zeros_like(self._ridge_JG).index_add_(1, self._group_R, square_JR)
        self._ridge_JG = 1 / (square_JG / self._size_G).clamp(MIN_VARIANCE, MAX_VARIANCE)
        return True

    def deviations(self, num: int = NUM_DEVIATIONS) -> Tensor | None:
        """[J, R, S]: draws of how far the weights may lie from their solution, by the posterior;
        None before the first solution. The same random numbers each time, so that the draws of
        one version are near those of the next."""
        found = self._root() if self.weight_JR.any() else None
        if found is None:
            return None
        scale_JR, root_JRR = found
        fixed = torch.Generator().manual_seed(0)
        normal_RS = torch.randn(scale_JR.shape[1], num, generator=fixed, dtype=torch.float64)
        normal_JRS = normal_RS.to(root_JRR.device).expand(len(root_JRR), -1, -1)
        drawn_JRS = torch.linalg.solve_triangular(root_JRR.mT, normal_JRS, upper=True)
        deviation_JRS: Tensor = (scale_JR[..., None] * drawn_JRS).float()
        return deviation_JRS

    def _root(self) -> tuple[Tensor, Tensor] | None:
        """[J, R], [J, R, R]: the precision as scales and a triangular root of the scaled one."""
        ridge_JR = self._ridge_JG[:, self._group_R]
        precision_JRR = self._precision_JRR + torch.diag_embed(ridge_JR)
        scale_JR = precision_JRR.diagonal(dim1=1, dim2=2).rsqrt()
        scaled_JRR = scale_JR[:, :, None] * precision_JRR * scale_JR[:, None]
        root_JRR, failed_J = torch.linalg.cholesky_ex(scaled_JRR)
        pivot_JR = root_JRR.diagonal(dim1=1, dim2=2)
        condition_J = (pivot_JR.amax(1) / pivot_JR.amin(1)).square()  # a lower bound of it
        if failed_J.any() or (condition_J > MAX_CONDITION).any():
            return None
        return scale_JR, root_JRR

    def state(self) -> dict[str, Any]:
        """Everything that `load_state` needs."""
        tensors = {
            "weight": self.weight_JR,
            "moment": self._moment_JR,
            "precision": self._precision_JRR,
            "ridge": self._ridge_JG,
        }
        state: dict[str, Any] = {name: tensor.cpu().clone() for name, tensor in tensors.items()}
        drawn = {"num_requests": self._num_requests, "num_drawn": self._num_drawn}
        of_all = {"num_samples": self._num_samples, "next_solution": self._next_solution}
        return state | of_all | drawn

    def load_state(self, state: dict[str, Any]) -> None:
        """Become the fit that `state` described."""
        device = self.weight_JR.device
        self.weight_JR = state["weight"].to(device, copy=True)
        self._moment_JR = state["moment"].to(device, copy=True)
        self._precision_JRR = state["precision"].to(device, copy=True)
        self._ridge_JG = state["ridge"].to(device, copy=True)
        self._num_samples, self._next_solution = state["num_samples"], state["next_solution"]
        # States from before anything was drawn lack these.
        self._num_requests, self._num_drawn = (
            state.get(name, 0) for name in ("num_requests", "num_drawn")
        )
