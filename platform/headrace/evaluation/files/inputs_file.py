"""The inputs of the ranker as a Parquet file, so that other models get identical ones.

A row per impression: `split`, `time_ms`, `user_id`, `video_id`, the labels, `dense.<feature>` and
`affinity.<name>` as float32, `key.<name>` as int64 (0 where there is none; the first of several),
and the user's last visible outcomes, newest first: `history.item`, in the keys of `key.item`, and
`history.action`, as `headrace.features.aggregation.facts.told_apart` makes them. Affinities are
what the ranker's item factors say (`headrace.model.item_factors.affinities`), null where no ranker
was asked.

Q rows
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.catalogue import columnar
from headrace.catalogue.item import Item, User
from headrace.evaluation.files.visibility import Observed
from headrace.features.aggregation.facts import told_apart
from headrace.features.inputs import DENSE_NAMES
from headrace.keys import key

MAX_EVENTS: Final = 20
AFFINITIES: Final = ("affinity.expected", "affinity.predicted")

Keys = dict[str, int]  # by name


class InputsFile:
    """Writes observed rows to an open file."""

    def __init__(
        self,
        path: Path,
        labels: Sequence[str],
        items: Mapping[str, Item],
        users: Mapping[str, User],
    ) -> None:
        self._path, self._labels = path, labels
        self._item_keys = {i.item_id: _keys((*i.attributes, *i.categories)) for i in items.values()}
        self._user_keys = {user.user_id: _keys(user.attributes) for user in users.values()}
        everything = (*self._item_keys.values(), *self._user_keys.values())
        self._names = ("user", "item", "tab", *dict.fromkeys(n for one in everything for n in one))
        self.schema = self._schema()

    @contextmanager
    def open(self) -> Iterator[InputsFile]:
        """The file is there once everything has been written."""
        with columnar.replacing(self._path, self.schema) as self._writer:
            yield self

    def write(
        self, rows: Sequence[Observed], affinity_Q2: NDArray[np.float32] | None = None
    ) -> None:
        """Append these rows."""
        columns = list(self._columns(rows, affinity_Q2))
        self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=self.schema))

    def _schema(self) -> pa.Schema:
        return pa.schema(
            [("split", pa.string())]
            + [(name, pa.int64()) for name in ("time_ms", "user_id", "video_id")]
            + [(label, pa.int8()) for label in self._labels]
            + [(f"dense.{name}", pa.float32()) for name in DENSE_NAMES]
            + [(name, pa.float32()) for name in AFFINITIES]
            + [(f"key.{name}", pa.int64()) for name in self._names]
            + [("history.item", pa.list_(pa.int64())), ("history.action", pa.list_(pa.int16()))]
        )

    def _columns(
        self, rows: Sequence[Observed], affinity_Q2: NDArray[np.float32] | None
    ) -> Iterator[Any]:
        shown = [row.impression for row in rows]
        yield pa.array([row.split for row in shown])
        yield pa.array([row.time_ms for row in shown], pa.int64())
        yield pa.array([int(row.event.user_id) for row in shown], pa.int64())
        yield pa.array([int(row.item_id) for row in shown], pa.int64())
        for place in range(len(self._labels)):
            yield pa.array([row.label_J[place] for row in shown], pa.int8())
        yield from map(pa.array, np.concatenate([row.features.dense_NF for row in rows]).T)
        if affinity_Q2 is None:
            yield from (pa.nulls(len(rows), pa.float32()) for _ in AFFINITIES)
        else:
            yield from map(pa.array, affinity_Q2.T)
        keys = [self._keys_of(row) for row in rows]
        yield from (pa.array([of.get(n, 0) for of in keys], pa.int64()) for n in self._names)
        histories = [row.features.history_3T[:, :MAX_EVENTS] for row in rows]
        histories = [history_3T[:, history_3T[0] != 0] for history_3T in histories]
        yield pa.array([history_3T[0] for history_3T in histories], pa.list_(pa.int64()))
        yield pa.array(
            [told_apart(history_3T[2]).astype(np.int16) for history_3T in histories],
            pa.list_(pa.int16()),
        )

    def _keys_of(self, row: Observed) -> Keys:
        event, item_id = row.impression.event, row.impression.item_id
        of_user, of_item = self._user_keys.get(event.user_id), self._item_keys.get(item_id)
        own = {"user": key(event.user_id), "item": key(item_id), "tab": key(event.surface)}
        return {**(of_user or {}), **(of_item or {}), **own}


def _keys(words: Iterable[str]) -> Keys:
    """The keys of "name=value" words by name; the first of each name."""
    keys: Keys = {}
    for word in words:
        keys.setdefault(word.partition("=")[0], key(word))
    return keys
