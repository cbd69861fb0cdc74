"""Reads `e5-small-q4.bin`: a tokenizer and a BERT whose matrices have four bits per weight.

A quantised row is a sequence of blocks of 32 weights: a 16-bit scale, then 16 bytes. Byte j holds
weight j in its low half and weight j + 16 in its high half, each 8 more than weight / scale.

V rows   K blocks of a row   D width
"""

from __future__ import annotations

import struct
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from headrace.encoders.networks.bert import BertConfig
from headrace.encoders.networks.unigram import Vocabulary
from headrace.errors import DatasetError

MAGIC: Final = b"E5S1"
BLOCK: Final = 32  # weights
BLOCK_BYTES: Final = 18
QUANTISED: Final = 1  # the type of a tensor; 0 is float32
NUM_SPECIAL: Final = 4  # the first pieces are marks, not text


class E5File:
    """The parts of one file, read from front to back when it is opened."""

    def __init__(self, content: bytes) -> None:
        if content[: len(MAGIC)] != MAGIC:
            raise DatasetError(f"weights begin with {content[:4]!r}, expected {MAGIC!r}")
        self._content, self._at = content, len(MAGIC)
        _, dim, layers, heads, hidden, _, max_tokens, _, epsilon, _ = self._take("<I7ifi")
        self.config = BertConfig(layers, heads, dim, hidden, max_tokens, epsilon)
        self.vocabulary = self._read_vocabulary()
        self._tensors = self._read_directory()

    def array(self, name: str) -> NDArray[np.float32]:
        """A tensor in full; flat where it is not quantised."""
        kind, num_values, offset = self._tensors[name]
        if kind != QUANTISED:
            return self._array("<f4", num_values, offset)
        bytes_of_row = self.config.dim // BLOCK * BLOCK_BYTES
        packed = torch.from_numpy(self.packed(name))
        rows = dequantise(packed.view(-1, bytes_of_row))
        return rows.flatten().numpy()

    def packed(self, name: str) -> NDArray[np.uint8]:
        """A quantised tensor as it is in the file, flat."""
        _, num_values, offset = self._tensors[name]
        return self._array("u1", num_values // BLOCK * BLOCK_BYTES, offset)

    def _array(self, dtype: str, count: int, offset: int) -> NDArray[Any]:
        return np.frombuffer(self._content, dtype, count, offset).copy()

    def _take(self, form: str) -> tuple[Any, ...]:
        values = struct.unpack_from(form, self._content, self._at)
        self._at += struct.calcsize(form)
        return values

    def _take_bytes(self, length: int) -> bytes:
        self._at += length
        return self._content[self._at - length : self._at]

    def _read_vocabulary(self) -> Vocabulary:
        num_pieces, first, last, _, unknown, num_bytes = self._take("<5iQ")
        ends = self._take(f"<{num_pieces + 1}I")
        scores = self._take(f"<{num_pieces}f")
        text = self._take_bytes(num_bytes)
        pieces = {
            text[ends[n] : ends[n + 1]].decode(): (n, scores[n])
            for n in range(NUM_SPECIAL, num_pieces)
        }
        num_replaced, _ = self._take("<iI")
        return Vocabulary(pieces, self._read_replacements(num_replaced), first, last, unknown)

    def _read_replacements(self, number: int) -> dict[int, str]:
        replacements = {}
        for _ in range(number):
            code, length = self._take("<IB")
            replacements[code] = "".join(map(chr, self._take(f"<{length}I")))
        return replacements

    def _read_directory(self) -> dict[str, tuple[int, int, int]]:
        """Of each tensor its type, number of values and offset in the file."""
        tensors = {}
        (number,) = self._take("<i")
        for _ in range(number):
            (length,) = self._take("<H")
            name = self._take_bytes(length).decode()
            kind, num_values, offset, _ = self._take("<BIQQ")
            tensors[name] = (kind, num_values, offset)
        return tensors


class PackedRows(nn.Module):
    """An embedding whose rows stay packed until they are looked up: an eighth of the memory."""

    packed: Tensor

    def __init__(self, packed: NDArray[np.uint8], dim: int) -> None:
        super().__init__()
        rows = torch.from_numpy(packed).view(-1, dim // BLOCK * BLOCK_BYTES)
        self.register_buffer("packed", rows)

    def forward(self, ids_BT: Tensor) -> Tensor:
        return dequantise(self.packed[ids_BT])


def dequantise(packed: Tensor) -> Tensor:
    """[..., D] float32: the weights of rows of packed blocks."""
    blocks = packed.view(*packed.shape[:-1], -1, BLOCK_BYTES)
    scale = blocks[..., :2].contiguous().view(torch.float16)
    halves = torch.cat([blocks[..., 2:] & 15, blocks[..., 2:] >> 4], dim=-1)
    return ((halves.to(torch.float32) - 8) * scale.to(torch.float32)).flatten(-2)
