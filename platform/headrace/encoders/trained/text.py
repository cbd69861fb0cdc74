"""The recipes for texts: hashed segments through an LSTM, one of two directions, or a Transformer.

B texts   L places   D width
"""

from __future__ import annotations

from functools import partial
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from headrace.encoders.trained.recipe import Recipe
from headrace.encoders.trained.segments import (
    LENGTH,
    NUM_BUCKETS,
    PADDING,
    UNKNOWN,
    read_segments,
)

EMBEDDING: Final = 64
DIM: Final = 128
NUM_LAYERS: Final = 2
NUM_HEADS: Final = 4
DROPOUT: Final = 0.1
P_UNKNOWN: Final = 0.15  # of a segment, in training


class Lstm(nn.Module):
    """An LSTM over the segments, of one or two directions; mean and maximum of its states."""

    def __init__(self, bidirectional: bool) -> None:
        super().__init__()
        hidden = DIM // 2 if bidirectional else DIM
        self.embedding = nn.Embedding(NUM_BUCKETS, EMBEDDING, padding_idx=PADDING)
        self.lstm = nn.LSTM(EMBEDDING, hidden, batch_first=True, bidirectional=bidirectional)
        self.narrow = nn.Linear(2 * DIM, DIM)

    def forward(self, segment_BL: Tensor) -> Tensor:
        """[B, D]"""
        length_B = (segment_BL != PADDING).sum(dim=1).cpu()
        embedded = self.embedding(segment_BL)
        packed = pack_padded_sequence(embedded, length_B, batch_first=True, enforce_sorted=False)
        state_BLD, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        vector_BD: Tensor = self.narrow(_pooled(state_BLD, segment_BL[:, : state_BLD.shape[1]]))
        return vector_BD


class Transformer(nn.Module):
    """Self-attention over the segments and their places; mean and maximum of what comes out."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(NUM_BUCKETS, EMBEDDING, padding_idx=PADDING)
        self.place = nn.Parameter(0.02 * torch.randn(LENGTH, EMBEDDING))
        layer = nn.TransformerEncoderLayer(
            EMBEDDING, NUM_HEADS, 2 * EMBEDDING, DROPOUT, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, NUM_LAYERS, enable_nested_tensor=False)
        self.narrow = nn.Linear(2 * EMBEDDING, DIM)

    def forward(self, segment_BL: Tensor) -> Tensor:
        """[B, D]"""
        placed_BLD = self.embedding(segment_BL) + self.place
        mixed_BLD = self.layers(placed_BLD, src_key_padding_mask=segment_BL == PADDING)
        vector_BD: Tensor = self.narrow(_pooled(mixed_BLD, segment_BL))
        return vector_BD


def forget_segments(segment_BL: Tensor, generator: torch.Generator) -> Tensor:
    """Texts some of whose segments are unknown."""
    drawn_BL = torch.rand(segment_BL.shape, generator=generator)
    return torch.where((drawn_BL < P_UNKNOWN) & (segment_BL != PADDING), UNKNOWN, segment_BL)


def _pooled(state_BLD: Tensor, segment_BL: Tensor) -> Tensor:
    """[B, 2 D]: mean and maximum over the places that are no padding."""
    there_BL1 = (segment_BL != PADDING)[:, :, None]
    mean_BD = (state_BLD * there_BL1).sum(dim=1) / there_BL1.sum(dim=1)
    top_BD = state_BLD.masked_fill(~there_BL1, -torch.inf).amax(dim=1)
    return torch.cat([mean_BD, top_BD], dim=1)


TEXT_LSTM: Final = Recipe(
    "text_lstm", "text", 1, DIM, read_segments, partial(Lstm, False), forget_segments
)
TEXT_BILSTM: Final = Recipe(
    "text_bilstm", "text", 1, DIM, read_segments, partial(Lstm, True), forget_segments
)
TEXT_TRANSFORMER: Final = Recipe(
    "text_transformer", "text", 1, DIM, read_segments, Transformer, forget_segments
)
