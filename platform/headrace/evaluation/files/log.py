"""The log of an evaluation: the flags that name its files, and its rows in the order of time."""

from __future__ import annotations

import argparse
import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

from headrace.catalogue.item import Item, User
from headrace.catalogue.vectors import ContentVectors
from headrace.catalogue.words import ContentTable
from headrace.config import Settings
from headrace.datasets.kuairand import history as kuairand_history
from headrace.datasets.kuairand import loader as kuairand
from headrace.errors import ConfigError
from headrace.evaluation.days import Days
from headrace.evaluation.files import impressions
from headrace.evaluation.files.impressions import Impression
from headrace.evaluation.row import BEFORE, TEST, TRAIN
from headrace.model.config import SIZES

FILES: Final = {
    "--train": "impressions to learn from, as Parquet in the columns of KuaiRand",
    "--test": "impressions to predict, all of them later",
    "--users": "what is known of users before the log",
    "--items": "what is known of items before the log",
}
DEFAULT_SIZE: Final = "nano"


@dataclass(frozen=True, slots=True)
class Log:
    """Checked files: the impressions to learn from and to predict, and the users and items."""

    options: argparse.Namespace
    labels: tuple[str, ...]
    train: impressions.Span
    test: impressions.Span
    items: dict[str, Item]
    users: dict[str, User]
    days: Days

    @property
    def num_rows(self) -> int:
        return self.train.num_rows + self.test.num_rows

    @property
    def surfaces(self) -> set[str]:
        return self.train.surfaces | self.test.surfaces

    def rows(self) -> Iterable[Impression]:
        """History, train and test merged in order of time: the history may reach into the log."""
        parts = ((self.options.train, TRAIN), (self.options.test, TEST))
        log = chain(*(impressions.read(path, self.labels, split) for path, split in parts))
        if self.options.history is None:
            return log
        history = kuairand_history.read_events(self.options.history)
        before = (Impression(event, (), BEFORE) for event in history)
        return heapq.merge(before, log, key=lambda row: row.time_ms)

    def content(self, settings: Settings) -> ContentTable:
        """The content table of the items, with the vector tables that the settings name."""
        return ContentTable(self.items, ContentVectors.of(settings))


def add_log_flags(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """The flags that name the files, the labels, and the ranker's size, seed and content."""
    for flag, what in FILES.items():
        parser.add_argument(flag, type=Path, required=required, metavar="FILE", help=what)
    parser.add_argument("--history", type=Path, metavar="FILE", help="what came before the log")
    parser.add_argument(
        "--labels",
        help="what to predict, with commas: actions (default: those predicted that the test can "
        "judge), or columns of files (default: is_click)",
    )
    parser.add_argument(
        "--size", default=DEFAULT_SIZE, help=f"{', '.join(SIZES)} (default: {DEFAULT_SIZE})"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the result as JSON")
    parser.add_argument(
        "--time-zone",
        metavar="NAME",
        help="whose midnights begin the days (default: HEADRACE_TIME_ZONE, else the log's own)",
    )


def check_ranker_and_outputs(options: argparse.Namespace) -> None:
    """Raises `ConfigError` for a size that is none, or a file in a folder that is not there."""
    if options.size not in SIZES:
        raise ConfigError(f"--size {options.size}: expected one of {', '.join(SIZES)}")
    for flag in ("json", "inputs"):
        path: Path | None = getattr(options, flag, None)
        if path and not path.absolute().parent.is_dir():
            raise ConfigError(f"--{flag} {path}: there is no folder {path.parent}")


def open_log(options: argparse.Namespace, settings: Settings) -> Log:
    """The log that the flags name; raises `ConfigError` and `DatasetError` for invalid input."""
    check_ranker_and_outputs(options)
    days = Days(options.time_zone or settings.time_zone or kuairand.TIME_ZONE)
    labels = tuple((options.labels or "is_click").split(","))
    train, test = impressions.check_files(options.train, options.test, labels)
    items = {item.item_id: item for item in kuairand.read_items(options.items)}
    users = {user.user_id: user for user in kuairand.read_users(options.users)}
    return Log(options, labels, train, test, items, users, days)
