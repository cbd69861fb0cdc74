"""Sealed parts in files: processes of a node that make the same one map one copy of it.

N places of the sealed part
"""

from __future__ import annotations

import os
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import numpy as np

from headrace.index.sealed import FLAT, Sealed, faiss

KEEP: Final = 6  # files' triples of a folder, the newest; who has mapped an older one keeps it
ENDINGS: Final = (".index", ".keys.npy", ".order.npy")


def shared(sealed: Sealed, folder: Path) -> Sealed:
    """The same part mapped from files of this folder, which are written unless they are there;
    itself where it is small, or where nothing can be written."""
    if len(sealed) <= FLAT:
        return sealed
    payload = faiss.serialize_index(sealed.faiss_index)
    digest = blake2b(sealed.key_N.tobytes(), digest_size=16)
    digest.update(payload.data)
    index, keys, order = (folder / f"{digest.hexdigest()}{ending}" for ending in ENDINGS)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(keys, sealed.key_N)
        _write(order, sealed.order_N)
        _write(index, payload)
        mapped = faiss.read_index(str(index), faiss.IO_FLAG_MMAP_IFC)
        key_N, order_N = (np.asarray(np.load(path, mmap_mode="r")) for path in (keys, order))
        _remove_older(folder)
    except (OSError, RuntimeError):
        return sealed
    return Sealed(mapped, key_N, sealed.num_trained, order_N)


def _write(path: Path, content: Any) -> None:
    """Write an array into a file, whole or not at all, unless it is there."""
    if path.exists():
        os.utime(path)
        return
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    with part.open("wb") as file:
        if path.suffix == ".npy":
            np.save(file, content)
        else:
            file.write(content.data)
    part.rename(path)


def _remove_older(folder: Path) -> None:
    """Remove all files but those of the newest indexes."""
    newest = sorted(folder.glob("*.index"), key=lambda path: -path.stat().st_mtime)
    kept = {path.stem for path in newest[:KEEP]}
    for path in folder.iterdir():
        if path.name.split(".")[0] not in kept:
            path.unlink(missing_ok=True)
