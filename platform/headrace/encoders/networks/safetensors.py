"""Reads the safetensors format: a length, a JSON header, then the tensors' bytes."""

from __future__ import annotations

import json
from typing import Final

import numpy as np
from numpy.typing import NDArray

LENGTH_BYTES: Final = 8


def read_float32(content: bytes) -> dict[str, NDArray[np.float32]]:
    """The float32 tensors of a file by name; others are left out."""
    start = LENGTH_BYTES + int.from_bytes(content[:LENGTH_BYTES], "little")
    header = json.loads(content[LENGTH_BYTES:start])
    arrays = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            begin, end = (start + offset for offset in entry["data_offsets"])
            flat = np.frombuffer(content[begin:end], dtype="<f4").astype(np.float32)
            arrays[name] = flat.reshape(entry["shape"])
    return arrays
