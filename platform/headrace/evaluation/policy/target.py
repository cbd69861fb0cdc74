"""Target policies: how probable it is that each would have shown an impression of a log.

`logged` is the log's own, `uniform` shows every item of the log as often, `greedy` whatever the
log's policy would show more often than not, which is the ranker's order without exploration.
Others come as files: a row per item, and where it matters per position and request.

    N impressions   X rows of a table   G groups of them, that are one choice each
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from pyarrow import csv, parquet

from headrace.errors import ConfigError, DatasetError
from headrace.keys import key
from headrace.metrics.bootstrap import Floats, Ints
from headrace.metrics.off_policy import LoggedImpressions

CERTAIN: Final = 0.5  # what is shown more often than that is the one that greedy shows
OPTIONAL: Final = ("position", "request_id")


@dataclass(frozen=True, slots=True)
class Table:
    """A policy's table: the items of each choice and the probability of each."""

    group_X: Ints
    item_X: Ints
    p_X: Floats
    group_N: Ints  # the choice that each impression came of


@dataclass(frozen=True, slots=True)
class Target:
    """A policy over a log: the probability of each impression, and of all items where known."""

    name: str
    shown_N: Floats
    table: Table | None = None


def of_log(log: LoggedImpressions) -> Target:
    """The policy of the log."""
    return Target("logged", log.propensity_N)


def greedy(log: LoggedImpressions) -> Target:
    """The policy of the log without its exploration."""
    return Target("greedy", (log.propensity_N > CERTAIN).astype(np.float64))


def uniform(log: LoggedImpressions) -> Target:
    """Every item of the log as often, at every place."""
    items = np.unique(log.item_N)
    p = np.full(len(items), 1 / len(items))
    none = np.zeros(len(log), np.int64)
    table = Table(np.zeros(len(items), np.int64), items, p, none)
    return Target("uniform", np.full(len(log), 1 / len(items)), table)


NAMED: Final[Mapping[str, Callable[[LoggedImpressions], Target]]] = {
    "logged": of_log,
    "greedy": greedy,
    "uniform": uniform,
}


def by_rows(name: str, rows: pa.Table, log: LoggedImpressions) -> Target:
    """The policy of rows of item_id and probability, by position and request where they tell."""
    columns = [one for one in OPTIONAL if one in rows.column_names]
    of = {"position": log.position_N, "request_id": log.request_N}
    asked_X = [_numbers(rows.column(one).to_pylist(), one) for one in columns]
    item_X = _numbers(rows.column("item_id").to_pylist(), "item_id")
    p_X = np.array(rows.column("probability").to_pylist(), np.float64)
    groups = _numbered(
        [np.concatenate(pair) for pair in zip(asked_X, (of[c] for c in columns), strict=True)],
        len(item_X) + len(log),
    )
    group_X, group_N = groups[: len(item_X)], groups[len(item_X) :]
    _check_sums(name, group_X, p_X)
    shown_N = _looked_up((group_X, item_X), p_X, (group_N, log.item_N))
    return Target(name, shown_N, Table(group_X, item_X, p_X, group_N))


def of_file(path: Path, log: LoggedImpressions) -> Target:
    """The policy of a file, Parquet or comma-separated; raises `ConfigError` for another."""
    if not path.is_file():
        known = ", ".join(NAMED)
        raise ConfigError(
            f"--policy {path}: no such policy or file; expected {known}, or a file of item_id, "
            "probability and, where it depends on them, position and request_id"
        )
    try:
        rows = parquet.read_table(path) if path.suffix == ".parquet" else csv.read_csv(path)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: cannot be read: {error}") from None
    if missing := {"item_id", "probability"} - {*rows.column_names}:
        raise DatasetError(f"{path}: the columns {', '.join(sorted(missing))} are missing")
    p = rows.column("probability").cast(pa.float64()).to_numpy()
    if not ((p >= 0) & (p <= 1)).all():
        raise DatasetError(f"{path}: probability: expected numbers from 0 to 1")
    return by_rows(str(path), rows, log)


def _numbers(values: Sequence[Any], name: str) -> Ints:
    """Positions as they are, ids as their keys."""
    if name == "position":
        return np.array(values, np.int64)
    return np.array([key(str(one)) for one in values], np.int64)


def _numbered(columns: Sequence[Ints], num: int) -> Ints:
    """[num]: a number for each distinct combination of the columns' values."""
    number: Ints = np.zeros(num, np.int64)
    for column in columns:
        distinct, code = np.unique(column, return_inverse=True)
        number = np.unique(number * len(distinct) + code, return_inverse=True)[1]
    return number


def _looked_up(key_X: tuple[Ints, Ints], p_X: Floats, key_N: tuple[Ints, Ints]) -> Floats:
    """[N]: the probability of each, 0 where there is no row of it."""
    together = [np.concatenate(pair) for pair in zip(key_X, key_N, strict=True)]
    number = _numbered(together, len(together[0]))
    p = np.zeros(int(number.max()) + 1)
    p[number[: len(p_X)]] = p_X
    found: Floats = p[number[len(p_X) :]]
    return found


def _check_sums(name: str, group_X: Ints, p_X: Floats) -> None:
    most = float(np.bincount(group_X, p_X).max()) if len(p_X) else 0.0
    if most > 1 + 1e-6:
        raise DatasetError(
            f"{name}: the probabilities of one choice are {most:.6g} together, expected at most 1"
        )
