"""A BERT encoder, and sentence vectors by the mean over its tokens.

B texts   T tokens   D width   H attention heads   E width of a head
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import gelu, normalize, scaled_dot_product_attention

MAX_BATCH_TOKENS: Final = 4_096  # padding included


@dataclass(frozen=True, slots=True)
class BertConfig:
    """The sizes of one BERT."""

    num_layers: int
    num_heads: int
    dim: int
    hidden_dim: int
    max_tokens: int
    epsilon: float


class Layer(nn.Module):
    """Attention, then a hidden layer; each is added to its input and normalised."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        dim, self._num_heads = config.dim, config.num_heads
        self.query, self.key, self.value, self.mix = (nn.Linear(dim, dim) for _ in range(4))
        self.mix_norm = nn.LayerNorm(dim, config.epsilon)
        self.widen = nn.Linear(dim, config.hidden_dim)
        self.narrow = nn.Linear(config.hidden_dim, dim)
        self.norm = nn.LayerNorm(dim, config.epsilon)

    def forward(self, x_BTD: Tensor, attend_B11T: Tensor) -> Tensor:
        query_BHTE, key_BHTE, value_BHTE = (
            part(x_BTD).unflatten(2, (self._num_heads, -1)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        seen_BHTE = scaled_dot_product_attention(
            query_BHTE, key_BHTE, value_BHTE, attn_mask=attend_B11T
        )
        x_BTD = self.mix_norm(x_BTD + self.mix(seen_BHTE.transpose(1, 2).flatten(2)))
        normed_BTD: Tensor = self.norm(x_BTD + self.narrow(gelu(self.widen(x_BTD))))
        return normed_BTD


class Bert(nn.Module):
    """Token ids in, one vector per text out; `word` turns ids into vectors."""

    def __init__(self, config: BertConfig, word: nn.Module) -> None:
        super().__init__()
        self.word = word
        self.position = nn.Parameter(torch.zeros(config.max_tokens, config.dim))
        self.kind = nn.Parameter(torch.zeros(config.dim))
        self.norm = nn.LayerNorm(config.dim, config.epsilon)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_layers))

    def forward(self, ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """[B, D]: the mean over the tokens that `mask_BT` marks, of length one."""
        x_BTD = self.word(ids_BT) + self.position[: ids_BT.shape[1]] + self.kind
        x_BTD = self.norm(x_BTD)
        for layer in self.layers:
            x_BTD = layer(x_BTD, mask_BT[:, None, None, :])
        return normalize((x_BTD * mask_BT.unsqueeze(2)).sum(1), dim=1)


def load_state(bert: Bert, arrays: Mapping[str, NDArray[np.float32]]) -> None:
    """Puts the published weights, by our names, into everything but `word`, and sets it to use."""
    state = bert.state_dict()
    given = {
        name: torch.from_numpy(array).reshape(state[name].shape) for name, array in arrays.items()
    }
    words = {name: value for name, value in state.items() if name.startswith("word.")}
    bert.load_state_dict({**words, **given})
    bert.eval().requires_grad_(False)


@torch.inference_mode()
def sentence_vectors(bert: Bert, texts: Sequence[list[int]]) -> NDArray[np.float32]:
    """[N, D]: the vector of each list of token ids.

    Texts of similar length go through together, so that little is spent on padding.
    """
    device = bert.position.device
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    vector_ND = np.empty((len(texts), bert.position.shape[1]), dtype=np.float32)
    while order:
        longest = len(texts[order[-1]])
        rows = order[-max(1, MAX_BATCH_TOKENS // longest) :]
        del order[-len(rows) :]
        ids_BT = np.zeros((len(rows), longest), dtype=np.int64)
        mask_BT = np.zeros((len(rows), longest), dtype=np.bool_)
        for at, row in enumerate(rows):
            ids_BT[at, : len(texts[row])] = texts[row]
            mask_BT[at, : len(texts[row])] = True
        ids, mask = (torch.from_numpy(array).to(device) for array in (ids_BT, mask_BT))
        vector_ND[rows] = bert(ids, mask).cpu().numpy()
    return vector_ND
