"""Invented shops whose logs tell little: the same people, told in two ways each.

own_group   of 80 slates of ten, how many items are of the user's own group, of which he alone
            chooses (chance is a quarter), by the learner of each of some seeds: of a log of
            purchases alone, and of one that also tells what was shown and not bought
price       AUC of the last three fifths of a log of impressions, predicted before they are
            learned, where each row has its item's price as `value`, and where none has

The logs are files: loaded, streamed and learned by the platform's own code, in memory.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np

from headrace import config
from headrace.broker.record import Record
from headrace.catalogue.item import Dataset
from headrace.catalogue.words import ContentTable
from headrace.datasets.registry import load_dataset
from headrace.evaluation.dataset.asked import Asked
from headrace.evaluation.dataset.catalogue_ranking import CatalogueRanking
from headrace.evaluation.dataset.run import evaluate
from headrace.evaluation.progressive import ranker_config
from headrace.event import DEFAULT_SURFACE, ClickEvent
from headrace.features.rows.state_row import decode_rows
from headrace.features.table import USER_LAYOUT
from headrace.learning.guarded_learner import GuardedLearner, Pace
from headrace.model.config import CLICK
from headrace.stream.step.batch_path import BatchPath
from headrace.stream.step.intake import Decoded
from headrace.stream.step.negatives import Negatives
from headrace.stream.step.partition import PartitionSettings

START: Final = datetime(2024, 5, 1, tzinfo=UTC)
EVERY: Final = timedelta(seconds=20)
SEEDS: Final = (0, 1, 2)
NUM_USERS, NUM_ITEMS, NUM_GROUPS, NUM_PRICED = 80, 160, 4, 60
P_GOOD, P_OTHER = 0.65, 0.14  # how often an item that is good, and another, is bought
STEP, SLATE = 60, 10  # events that are worked on at once; items of a slate
HEADER: Final = ("user", "item", "time", "bought", "price")
MAPPING: Final = """events:
  file: events.csv
  user_id: user
  item_id: item
  time: {column: time, unit: iso}
  clicked: bought
"""
PRICED: Final = "  value: price\n"

Row = tuple[int, int, bool]  # user, item, whether it was bought


def run() -> dict[str, Any]:
    """Both comparisons."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        logs = {"purchases": purchases(960, Random(0)), "impressions": shown(3_840, Random(0))}
        datasets = {kind: written(folder / kind, rows) for kind, rows in logs.items()}
        return {
            "own_group": {
                kind: [num_of_own_group(dataset, seed) for seed in SEEDS]
                for kind, dataset in datasets.items()
            },
            "price": [auc_by_price(folder / str(seed), 4_000, seed) for seed in SEEDS],
        }


def purchases(num: int, random: Random) -> Iterator[Row]:
    """Users buy items of their own group, and nothing else is told."""
    for _ in range(num):
        user = random.randrange(NUM_USERS)
        yield user, random.randrange(user % NUM_GROUPS, NUM_ITEMS, NUM_GROUPS), True


def shown(num: int, random: Random) -> Iterator[Row]:
    """The same shop: items are shown at random, and those of the user's own group are bought."""
    for _ in range(num):
        user, item = random.randrange(NUM_USERS), random.randrange(NUM_ITEMS)
        yield user, item, user % NUM_GROUPS == item % NUM_GROUPS


def of_good_items(num: int, random: Random) -> Iterator[Row]:
    """Another shop: a third of the items are good, whoever sees them."""
    good = set(random.sample(range(NUM_PRICED), NUM_PRICED // 3))
    for _ in range(num):
        user, item = random.randrange(NUM_USERS), random.randrange(NUM_PRICED)
        yield user, item, random.random() < (P_GOOD if item in good else P_OTHER)


def written(folder: Path, rows: Iterable[Row], mapping: str = MAPPING) -> Dataset:
    """A log as the files of a shop, and as they are loaded."""
    folder.mkdir(parents=True)
    with (folder / "events.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(HEADER)
        for number, (user, item, bought) in enumerate(rows):
            time = (START + number * EVERY).isoformat()
            out.writerow((f"u{user}", f"i{item}", time, int(bought), 5 + 1.5 * item))
    (folder / "headrace.yaml").write_text(mapping)
    return load_dataset("table", folder)


def auc_by_price(folder: Path, num: int, seed: int) -> dict[str, float]:
    """AUC of the last three fifths, of the same log with the price as `value` and without."""
    asked = Asked(test_share=0.6, seed=seed, online=True)
    found = {}
    for name, mapping in (("as_value", MAPPING + PRICED), ("without", MAPPING)):
        dataset = written(folder / name, of_good_items(num, Random(seed)), mapping)
        found[name] = float(evaluate(dataset, config.settings(), asked)["labels"][CLICK]["auc"])
    return found


def num_of_own_group(dataset: Dataset, seed: int) -> int:
    """How many items of all users' slates are of their own group, after one pass over the log."""
    settings, of_id = config.settings(), {item.item_id: item for item in dataset.items}
    stream, negatives = settings.stream, Negatives.of(settings, of_id)
    window_ms = int(1_000 * stream.click_window_s)
    rules = PartitionSettings(stream.dedupe_window, window_ms, negatives=negatives)
    path = BatchPath(of_id.get, rules)
    content = ContentTable(of_id)
    ranker = ranker_config(settings.training.ranker_size, [CLICK], [DEFAULT_SURFACE])
    pace = Pace(settings.training.batch_size, settings.training.progressive_window, 0)
    guarded = GuardedLearner(ranker, content, seed, pace)
    events = enumerate(dataset.events())
    while part := list(islice(events, STEP)):
        records = [Record(0, offset, event.event_time_ms, b"", b"") for offset, event in part]
        decoded = [Decoded(record, event) for record, (_, event) in zip(records, part, strict=True)]
        guarded.learn(path.process(0, decoded, records[-1].arrival_ms).samples)
    ranking = CatalogueRanking(dataset.items, content, ranker)
    ranking.use(guarded.learner.ranker)
    ids = list(of_id)
    items = path.merged.items.states(path.merged.items.indexes(ids))
    num = 0
    for user_id, row in path.user_rows.items():
        states = decode_rows([row], USER_LAYOUT)["state"], items
        asks = ClickEvent("last", dataset.end_ms, user_id, ids[0])
        logit_N = ranking.logits(asks, (), states)
        for place in np.argsort(-logit_N)[:SLATE].tolist():
            num += int(ids[place][1:]) % NUM_GROUPS == int(user_id[1:]) % NUM_GROUPS
    return num
