"""The log of an evaluation: the flags that name its files, and its rows in the order of time."""

from __future__ import annotations

import argparse
import heapq
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final

from headrace.catalogue.item import Item, User
from headrace.catalogue.vectors import ContentVectors
from headrace.catalogue.words import ContentTable
from headrace.commands.flags import add_tokens_flag
from headrace.config import Settings
from headrace.datasets.kuairand import history as kuairand_history
from headrace.datasets.kuairand import loader as kuairand
from headrace.errors import ConfigError
from headrace.evaluation import impressions
from headrace.evaluation.impressions import BEFORE, TEST, TRAIN, Impression
from headrace.model.config import SIZES

if TYPE_CHECKING:
    from headrace.evaluation.visibility import Observed

FILES: Final = {
    "--train": "impressions to learn from, as Parquet in the columns of KuaiRand",
    "--test": "impressions to predict, all of them later",
    "--users": "what is known of users before the log",
    "--items": "what is known of items before the log",
}
REPORT_EVERY_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Log:
    """Checked files: what is to be predicted, and what is known of users and items."""

    options: argparse.Namespace
    labels: tuple[str, ...]
    train: impressions.Span
    test: impressions.Span
    items: dict[str, Item]
    users: dict[str, User]

    @property
    def surfaces(self) -> set[str]:
        return self.train.surfaces | self.test.surfaces

    def rows(self) -> Iterable[Impression]:
        """Everything in the order of time: what came before the log may reach into it."""
        parts = ((self.options.train, TRAIN), (self.options.test, TEST))
        log = chain(*(impressions.read(path, self.labels, split) for path, split in parts))
        if self.options.history is None:
            return log
        history = kuairand_history.read_events(self.options.history)
        before = (Impression(event, (), BEFORE) for event in history)
        return heapq.merge(before, log, key=lambda row: row.time_ms)

    def content(self, settings: Settings) -> ContentTable:
        """What the ranker reads of the items, with the token tables that the settings name."""
        return ContentTable(self.items, ContentVectors.of(settings))

    def told(self, batches: Iterable[Sequence[Observed]]) -> Iterator[Sequence[Observed]]:
        """The same batches; says now and then how far they are."""
        done, said_s = 0, time.monotonic()
        for batch in batches:
            yield batch
            done += len(batch)
            if time.monotonic() - said_s > REPORT_EVERY_S:
                said_s, num_rows = time.monotonic(), self.train.num_rows + self.test.num_rows
                print(f"{done:,} of {num_rows:,} rows", file=sys.stderr, flush=True)


def add_log_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that name the files, the labels, and the ranker's size, seed and content."""
    for flag, what in FILES.items():
        parser.add_argument(flag, type=Path, required=True, metavar="FILE", help=what)
    parser.add_argument("--history", type=Path, metavar="FILE", help="what came before the log")
    parser.add_argument(
        "--labels", default="is_click", help="columns to predict, with commas (default: is_click)"
    )
    parser.add_argument("--size", default="nano", help=f"{', '.join(SIZES)} (default: nano)")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the result as JSON")
    add_tokens_flag(parser)


def open_log(options: argparse.Namespace) -> Log:
    """The log that the flags name; raises `ConfigError` and `DatasetError` for what is wrong."""
    if options.size not in SIZES:
        raise ConfigError(f"--size {options.size}: expected one of {', '.join(SIZES)}")
    for flag in ("json", "inputs"):
        path: Path | None = getattr(options, flag, None)
        if path and not path.absolute().parent.is_dir():
            raise ConfigError(f"--{flag} {path}: there is no folder {path.parent}")
    labels = tuple(options.labels.split(","))
    train, test = impressions.check_files(options.train, options.test, labels)
    items = {item.item_id: item for item in kuairand.read_items(options.items)}
    users = {user.user_id: user for user in kuairand.read_users(options.users)}
    return Log(options, labels, train, test, items, users)
