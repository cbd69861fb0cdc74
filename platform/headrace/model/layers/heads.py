"""Heads: a candidate's hidden layer in, logits out; and the position bias, not used in serving.

C candidates   H hidden   E experts   J heads   K logits   W width of an expert
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from headrace.event import POSITION_UNKNOWN
from headrace.model.config import RankerConfig

MAX_POSITION = 63
BIAS_WIDTH = 8


class ExpertHeads(nn.Module):
    """Experts that all heads share, one more per head, and a gate per head over those it may use.

    (A single-level progressive layered extraction: Tang et al., 2020.)
    """

    def __init__(self, config: RankerConfig, width: int) -> None:
        super().__init__()
        num_heads, shared = len(config.heads), config.num_experts
        num_experts = shared + num_heads
        self.experts = nn.Linear(width, num_experts * config.expert)
        self.gates = nn.Linear(width, num_heads * num_experts)
        self.out = nn.Linear(config.expert, config.num_logits)
        nn.init.normal_(self.out.weight, std=0.02)
        own_JE = torch.eye(num_heads) - 1
        closed_JE = torch.cat([torch.zeros(num_heads, shared), 1e4 * own_JE], 1)
        logits_of_head = torch.tensor([head.num_logits for head in config.heads])
        self.register_buffer("closed_JE", closed_JE, persistent=False)
        self.register_buffer("head_K", torch.repeat_interleave(logits_of_head), persistent=False)
        self.closed_JE: Tensor
        self.head_K: Tensor

    def forward(self, hidden_CH: Tensor) -> Tensor:
        """[C, K]: the logits of all heads, side by side."""
        num_heads, num_experts = self.closed_JE.shape
        expert_CEW = self.experts(hidden_CH).relu().view(len(hidden_CH), num_experts, -1)
        gate_CJE = self.gates(hidden_CH).view(-1, num_heads, num_experts) + self.closed_JE
        gate_CKE = gate_CJE.softmax(-1)[:, self.head_K]
        of_expert_CEK = expert_CEW @ self.out.weight.T
        logit_CK: Tensor = (gate_CKE.transpose(1, 2) * of_expert_CEK).sum(1) + self.out.bias
        return logit_CK


class PositionBias(nn.Module):
    """The position bias: logits of the place in the slate and the surface, added while training.

    It explains what is due to the place, so that the rest of the ranker need not; serving leaves
    it out. It is zero where the position is unknown.
    """

    def __init__(self, config: RankerConfig) -> None:
        super().__init__()
        self.position = nn.Embedding(MAX_POSITION + 1, BIAS_WIDTH)
        self.surface = nn.Embedding(len(config.surfaces) + 1, BIAS_WIDTH)
        self.hidden = nn.Linear(BIAS_WIDTH, BIAS_WIDTH)
        self.out = nn.Linear(BIAS_WIDTH, config.num_logits, bias=False)
        nn.init.normal_(self.out.weight, std=0.02)

    def forward(self, position_C: Tensor, surface_C: Tensor) -> Tensor:
        """[C, K]: to be added to the logits."""
        place_C = position_C.clamp(0, MAX_POSITION)
        hidden_CW = self.hidden(self.position(place_C) + self.surface(surface_C)).relu()
        bias_CK: Tensor = self.out(hidden_CW) * (position_C != POSITION_UNKNOWN)[:, None]
        return bias_CK
