"""A row: one request of a log, with its context at prediction time and its outcomes.

J labels   N impressions of the request
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

TRAIN: Final = "train"
TEST: Final = "test"
BEFORE: Final = "before"  # what came before the log: it is known, and never asked for
VISIBLE_AFTER_MS: Final = 60_000  # when an outcome that an impression came with may be used
BATCH_IMPRESSIONS: Final = 256


class Row(Protocol):
    """The interface of a row to an evaluation, whatever log it comes from."""

    @property
    def split(self) -> str: ...
    @property
    def day(self) -> int: ...  # of its time, in the time zone of the evaluation
    @property
    def time_ms(self) -> int: ...
    @property
    def visible_ms(self) -> int: ...  # when its outcome may be learned
    @property
    def user_key(self) -> int: ...
    @property
    def label_NJ(self) -> NDArray[np.float32]: ...  # NaN where the log does not tell
    @property
    def num_of_user(self) -> int: ...  # impressions of the user before it
    @property
    def num_of_items(self) -> Sequence[int]: ...  # [N]: and of each of its items


AnyRow = TypeVar("AnyRow", bound=Row)


def batches_of(rows: Iterable[AnyRow]) -> Iterator[list[AnyRow]]:
    """Rows of one split and day together, with `BATCH_IMPRESSIONS` at most if rows allow."""
    batch: list[AnyRow] = []
    num_impressions = 0
    for row in rows:
        num_of_row = len(row.num_of_items)
        is_full = num_impressions + num_of_row > BATCH_IMPRESSIONS
        if batch and (is_full or (row.split, row.day) != (batch[0].split, batch[0].day)):
            yield batch
            batch, num_impressions = [], 0
        batch.append(row)
        num_impressions += num_of_row
    if batch:
        yield batch
