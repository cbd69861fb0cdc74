"""The ranker's inputs, as arrays for other models; runs in the peers' environment.

The rows are those of the train, those of the test, and those of the test once more with the users
as of midnight, whose predictions only order within a user's day is read from; they have a file of
their own.

N rows   J labels   F features   T history
"""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from headrace.action import ACTIONS, FEATURED

IDS: Final = ("user", "item")
HISTORY: Final = 20
NOTHING, RARE, FIRST = 0, 1, 2  # codes: no value, seen once or never in the train, the others
VISIBLE_AFTER_MS: Final = 60_000
DAY_MS, MIDNIGHT_MS = 86_400_000, 8 * 3_600_000  # days in UTC+8
ALL_ACTIONS: Final = 1 << len(FEATURED)  # sets of actions
DRAWN: Final = ("rows", "candidates", "inputs", "dense", "users", "items")  # numbers of each
NUM_VALUES: Final = 100  # of an attribute that is drawn
MIDNIGHT: Final = "midnight"  # in the name of a file with what would have been seen as of it
# What is commonly counted of users and items: how often, and what came of it, ever and lately.
PLAIN: Final = re.compile(
    rf"(user|item)_(impressions|clicks|({'|'.join(ACTIONS)})_rate)(_1h|_1d|_7d|_lately)?(_log)?"
)

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Inputs:
    """Numbers as they are, attributes and ids as codes, histories padded with `NOTHING`."""

    num_train: int
    num_test: int
    time_ms_N: Ints
    label_N: dict[str, Floats]
    dense_names: list[str]
    dense_NF: Floats
    code_N: dict[str, Ints]
    num_codes: dict[str, int]
    history_NT: Ints  # item codes
    action_NT: Ints  # 0 where there is no event, then 1 and the bits of its actions

    @property
    def num_rows(self) -> int:
        return len(self.time_ms_N)

    @property
    def day_N(self) -> Ints:
        """The number of each row's day."""
        return (self.time_ms_N + MIDNIGHT_MS) // DAY_MS

    @property
    def train_N(self) -> Ints:
        return np.arange(self.num_train)

    @property
    def test_N(self) -> Ints:
        """The test's rows; those as of midnight are `num_test` further on."""
        return np.arange(self.num_train, self.num_train + self.num_test)


def arguments() -> argparse.Namespace:
    """A peer's command-line arguments, as `environment.predict` gives them."""
    parser = argparse.ArgumentParser()
    for flag in ("inputs", "plain", "out"):
        parser.add_argument(f"--{flag}", type=Path, required=True)
    parser.add_argument("--peer", required=True)
    parser.add_argument("--seed", type=int, required=True)
    return parser.parse_args()


def at_midnight(inputs: Path) -> Path:
    """The file beside the inputs that has the test's rows with the users as of midnight."""
    return inputs.with_stem(f"{inputs.stem}-{MIDNIGHT}")


def read(inputs: Path) -> Inputs:
    """This file and that of midnight; codes are given by the train's rows alone."""
    table = pa.concat_tables([pq.read_table(path) for path in (inputs, at_midnight(inputs))])
    num_test = pq.read_metadata(at_midnight(inputs)).num_rows
    num_train = len(table) - 2 * num_test
    names = table.column_names
    numbers = [*_named(names, "dense"), *_named(names, "affinity")]
    labels = names[names.index("video_id") + 1 : names.index(numbers[0])]
    keys = {name.partition(".")[2]: table[name].to_numpy() for name in _named(names, "key")}
    vocabulary = {name: _vocabulary(key_N[:num_train]) for name, key_N in keys.items()}
    actions = _padded(table["history.action"], -1)
    return Inputs(
        num_train=num_train,
        num_test=num_test,
        time_ms_N=table["time_ms"].to_numpy(),
        label_N={label: table[label].to_numpy().astype(np.float32) for label in labels},
        dense_names=[name.partition(".")[2] for name in numbers],
        dense_NF=np.stack([table[name].to_numpy() for name in numbers], axis=1),
        code_N={name: _codes(key_N, vocabulary[name]) for name, key_N in keys.items()},
        num_codes={name: FIRST + len(known) for name, known in vocabulary.items()},
        history_NT=_codes(_padded(table["history.item"], 0), vocabulary["item"]),
        action_NT=np.where(actions < 0, 0, 1 + actions),
    )


def plain(inputs: Inputs) -> Inputs:
    """The same without the numbers that are not `PLAIN`."""
    kept = [place for place, name in enumerate(inputs.dense_names) if PLAIN.fullmatch(name)]
    names = [inputs.dense_names[place] for place in kept]
    return replace(inputs, dense_names=names, dense_NF=inputs.dense_NF[:, kept])


def drawn(rows: int, candidates: int, inputs: int, dense: int, users: int, items: int) -> Inputs:
    """Rows to train on, then candidates: numbers, a user, an item, its history, and attributes."""
    num_rows, draw = rows + candidates, np.random.default_rng(0)
    num_attributes = inputs - dense - len(("user", "item", "action"))
    attributes = {f"attribute{n}": NUM_VALUES for n in range(num_attributes)}
    num_codes = {"user": users, "item": items, **attributes}
    return Inputs(
        num_train=rows,
        num_test=candidates,
        time_ms_N=np.arange(num_rows),
        label_N={"click": draw.integers(0, 2, num_rows).astype(np.float32)},
        dense_names=[f"dense{n}" for n in range(dense)],
        dense_NF=draw.random((num_rows, dense), np.float32),
        code_N={name: draw.integers(FIRST, num, num_rows) for name, num in num_codes.items()},
        num_codes=num_codes,
        history_NT=draw.integers(FIRST, items, (num_rows, HISTORY)),
        action_NT=draw.integers(1, 1 + ALL_ACTIONS, (num_rows, HISTORY)),
    )


def write(out: Path, model: str, predicted_N: dict[str, Floats], inputs: Inputs) -> None:
    """A model's predictions per label for the test's rows, now and as of midnight."""
    now = {label: p_N[inputs.test_N] for label, p_N in predicted_N.items()}
    late = {f"{k}@midnight": p_N[inputs.test_N + inputs.num_test] for k, p_N in predicted_N.items()}
    pq.write_table(pa.table({**now, **late}), out / f"{model}.parquet")


def num_visible(inputs: Inputs, now_ms: int) -> int:
    """How many of the first rows have outcomes that may be learned from by now."""
    log_ms = inputs.time_ms_N[: inputs.num_train + inputs.num_test]
    return int(np.searchsorted(log_ms + VISIBLE_AFTER_MS, now_ms, side="right"))


def _named(names: list[str], kind: str) -> list[str]:
    return [name for name in names if name.startswith(f"{kind}.")]


def _vocabulary(key_N: Ints) -> Ints:
    known, num = np.unique(key_N, return_counts=True)
    often: Ints = known[(num > 1) & (known != 0)]
    return often


def _codes(keys: Ints, vocabulary: Ints) -> Ints:
    if not len(vocabulary):
        return np.where(keys == 0, NOTHING, RARE)
    place = np.minimum(np.searchsorted(vocabulary, keys), len(vocabulary) - 1)
    known = np.where(vocabulary[place] == keys, FIRST + place, RARE)
    return np.where(keys == 0, NOTHING, known)


def _padded(lists: Any, filling: int) -> Ints:
    """[N, T]: the lists' beginnings, filled up."""
    whole = lists.combine_chunks()
    length_N = whole.value_lengths().to_numpy()
    padded_NT = np.full((len(whole), HISTORY), filling, np.int64)
    at_NT = np.arange(HISTORY) < length_N[:, None]
    padded_NT[at_NT] = whole.flatten().to_numpy()
    return padded_NT
