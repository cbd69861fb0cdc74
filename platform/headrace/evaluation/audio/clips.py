"""Files of labelled clips: Parquet rows in, spectrograms with labels and folds out.

N clips   C channels   M mel bands   T frames
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import torch
from torch import Tensor

from headrace.catalogue import columnar
from headrace.encoders.trained.audio import read_sound
from headrace.errors import DatasetError
from headrace.evaluation.progress import Progress

LABEL: Final = "label"
FOLD: Final = "fold"
SOUND: Final = "audio"  # how the name of the column of sounds begins
IDS: Final = ("item_id", "clip_id", "file")  # the first of these names a clip, else its row


@dataclass(frozen=True, slots=True)
class Clips:
    """Clips that can be read, and why the others cannot, by their ids."""

    sound_NCMT: Tensor
    label_N: Tensor
    fold_N: Tensor
    labels: tuple[str, ...]
    problems: dict[str, str]


def read_clips(path: Path) -> Clips:
    """The clips of a file; raises `DatasetError` for one whose columns are not those of clips."""
    names = columnar.schema(path)
    sound = _sound_column(path, names)
    id_column = next((name for name in IDS if name in names.names), None)
    columns = [sound, LABEL, FOLD, *([id_column] if id_column else [])]
    table = columnar.read_parquet(path, columns)
    problems: dict[str, str] = {}
    sounds, labels, folds = [], [], []
    progress = Progress(len(table), "clips")
    for row, one in enumerate(_rows(table)):
        clip_id = str(one[id_column]) if id_column else f"row {row}"
        try:
            label, fold = _told(one)
            sounds.append(torch.from_numpy(read_sound(one[sound] or b"")))
        except ValueError as error:
            problems[clip_id] = str(error)
            continue
        labels.append(label)
        folds.append(fold)
        progress.say(row, "read")
    if len(set(folds)) < 2 or len(set(labels)) < 2:
        told = f"{len(set(folds))} folds and {len(set(labels))} labels of {len(sounds)} clips"
        raise DatasetError(f"{path}: {told} that can be read: expected at least two of each")
    known = tuple(sorted(set(labels)))
    number_of = {label: number for number, label in enumerate(known)}
    label_N = torch.tensor([number_of[label] for label in labels])
    return Clips(torch.stack(sounds), label_N, torch.tensor(folds), known, problems)


def _rows(table: pa.Table) -> Iterable[dict[str, Any]]:
    for batch in table.to_batches(max_chunksize=columnar.BATCH_ROWS):
        yield from batch.to_pylist()


def _told(row: dict[str, Any]) -> tuple[str, int]:
    if row[LABEL] is None or row[FOLD] is None:
        raise ValueError(f"expected a {LABEL} and a {FOLD}, got {row[LABEL]!r} and {row[FOLD]!r}")
    return str(row[LABEL]), int(row[FOLD])


def _sound_column(path: Path, names: pa.Schema) -> str:
    """The one column of bytes that is called `audio`, with or without its format."""
    found = [
        field.name
        for field in names
        if field.name.startswith(SOUND)
        and (pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type))
    ]
    if len(found) != 1:
        told = ", ".join(found) or "none"
        raise DatasetError(
            f"{path}: columns of sounds: {told}: expected one of bytes (WAV, FLAC or OGG) whose "
            f"name begins with {SOUND!r}, beside {LABEL!r} and {FOLD!r}"
        )
    return str(found[0])
