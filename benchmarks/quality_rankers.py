"""FuseRank on a log in its regimes and seeds, side by side; and what it saw, for other models.

The same classes do the work as in `headrace evaluate`, so the numbers are the same too. Features
are computed once for all rankers that see them, and a model that stands still after the train is
trained once for both of its regimes.

Q rows of the test   J labels
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.inputs import at_midnight
from headrace.catalogue.words import ContentTable
from headrace.config import Settings
from headrace.evaluation.files.evaluation import Evaluation
from headrace.evaluation.files.inputs_file import InputsFile
from headrace.evaluation.files.log import Log, add_log_flags, open_log
from headrace.evaluation.files.visibility import Observed, Observer
from headrace.evaluation.progress import with_progress
from headrace.evaluation.progressive import ranker_config
from headrace.evaluation.quality import Quality
from headrace.evaluation.row import TEST, Row, batches_of
from headrace.metrics import NEW

ALL_FROZEN: Final = "FuseRank, all frozen"
FROZEN: Final = "FuseRank, frozen"
EVERY_5_MIN: Final = "FuseRank, every 5 min"
ONLINE: Final = "FuseRank, online"
REGIMES: Final = (ALL_FROZEN, FROZEN, EVERY_5_MIN, ONLINE)

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Predictions:
    """The predictions of a model of one seed on the test's rows, and those as of midnight."""

    p_QJ: Array
    p_at_midnight_QJ: Array


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The outcomes of the test's rows, with their users, days and slices."""

    user_Q: Array
    day_Q: Array
    label_QJ: Array
    is_new: Mapping[str, Array]  # by slice


class Kept(Quality):
    """The quality of an evaluation, which also keeps every row and prediction."""

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__(labels)
        self._rows: list[tuple[int, int, bool, bool, tuple[int, ...]]] = []
        self._p: list[Array] = []
        self._p_at_midnight: list[Array] = []

    def add(self, rows: Sequence[Row], p_QJ: Array, p_at_midnight_QJ: Array) -> None:
        super().add(rows, p_QJ, p_at_midnight_QJ)
        self._p.append(p_QJ)
        self._p_at_midnight.append(p_at_midnight_QJ)
        for row in rows:
            assert isinstance(row, Observed), "it evaluates files of impressions"
            user, day = int(row.impression.event.user_id), row.day
            is_new = row.num_of_user <= NEW, row.num_of_item <= NEW
            self._rows.append((user, day, *is_new, row.impression.label_J))

    @property
    def predictions(self) -> Predictions:
        return Predictions(np.concatenate(self._p), np.concatenate(self._p_at_midnight))

    @property
    def rows(self) -> Outcomes:
        user_Q, day_Q, new_user_Q, new_item_Q, label_QJ = map(
            np.array, zip(*self._rows, strict=True)
        )
        return Outcomes(user_Q, day_Q, label_QJ, {"new_users": new_user_Q, "new_items": new_item_Q})


Rows = Sequence[Observed]
Affinities = Callable[[Rows, bool], Array | None]  # now, or as of midnight
Running = Mapping[str, Sequence[Evaluation]]


def run_rankers(
    flags: Sequence[str], seeds: Sequence[int], inputs: Path
) -> tuple[Outcomes, dict[str, list[Predictions]]]:
    """Predictions by model, one for each seed; `inputs` gets the two files for other models."""
    log = _log(flags)
    live = {
        FROZEN: [_evaluation(log, seed, online=False) for seed in seeds],
        EVERY_5_MIN: [_evaluation(log, seed, publish_every_ms=5 * 60_000) for seed in seeds],
        ONLINE: [_evaluation(log, seed) for seed in seeds],
    }
    with _inputs_files(log, inputs) as write:
        for batch in _batches(log, freeze=False):
            _take(live, batch)
            write(batch, live[ONLINE][0].affinities)
    kept = {name: [_kept(one) for one in of] for name, of in live.items()}
    kept[ALL_FROZEN] = _all_frozen(log, live[FROZEN])
    models = {name: [one.predictions for one in kept[name]] for name in REGIMES}
    return kept[ONLINE][0].rows, models


def write_inputs(flags: Sequence[str], inputs: Path) -> None:
    """The two files alone: without a ranker there are no affinities."""
    log = _log(flags)
    with _inputs_files(log, inputs) as write:
        for batch in _batches(log, freeze=False):
            write(batch, lambda _rows, _at_midnight: None)


def _log(flags: Sequence[str]) -> Log:
    parser = argparse.ArgumentParser()
    add_log_flags(parser)
    return open_log(parser.parse_args(flags), Settings())


@contextmanager
def _inputs_files(log: Log, inputs: Path) -> Iterator[Callable[[Rows, Affinities], None]]:
    """A context manager: a function that writes a batch to both files."""
    now, late = (
        InputsFile(path, log.labels, log.items, log.users) for path in (inputs, at_midnight(inputs))
    )

    def write(batch: Rows, affinities: Affinities) -> None:
        now.write(batch, affinities(batch, False))
        if batch[0].impression.split == TEST:
            then = [replace(row, features=row.at_midnight) for row in batch]
            late.write(then, affinities(batch, True))

    with now.open(), late.open():
        yield write


def _evaluation(log: Log, seed: int, online: bool = True, publish_every_ms: int = 0) -> Evaluation:
    config = ranker_config(log.options.size, log.labels, log.surfaces)
    content = ContentTable(log.items)
    evaluation = Evaluation(config, log.labels, content, seed, online, publish_every_ms)
    evaluation.quality = Kept(log.labels)
    return evaluation


def _kept(evaluation: Evaluation) -> Kept:
    assert isinstance(evaluation.quality, Kept), "`_evaluation` made it"
    return evaluation.quality


def _batches(log: Log, freeze: bool) -> Iterator[Sequence[Observed]]:
    observer = Observer(log.items, log.users, log.days, freeze=freeze)
    return with_progress(batches_of(observer.observe(log.rows())), log.num_rows)


def _all_frozen(log: Log, trained: Sequence[Evaluation]) -> list[Kept]:
    """The predictions of models frozen since the train, on features that are frozen too."""
    for evaluation in trained:
        evaluation.quality = Kept(log.labels)
    for batch in _batches(log, freeze=True):
        if batch[0].impression.split == TEST:
            _take({ALL_FROZEN: trained}, batch)
    return [_kept(evaluation) for evaluation in trained]


def _take(running: Running, batch: Sequence[Observed]) -> None:
    for evaluations in running.values():
        for evaluation in evaluations:
            evaluation.take(batch)
