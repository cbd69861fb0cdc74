"""FuseRank against DIN: training samples and 500 candidates, one thread, batches prepared before.

DIN is a plain module of the shape of FuxiCTR's, and not FuxiCTR itself: 75 fields of width 8, a
sequence of 20 whose weights an MLP of 64 makes from both items, their difference and product (Zhou
et al., 2018), an MLP of 256 and 128, Adam.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.pairs import compare
from headrace.datasets.dataset import Item
from headrace.features.assemble import NUM_DENSE, RATES, RequestFeatures
from headrace.keys import key
from headrace.model.batch import Batch, Request, make_batch, make_items, make_request_batch
from headrace.model.learner import OnlineLearner
from headrace.model.ranker_config import SIZES, RankerConfig
from headrace.model.tokens import ContentTable, user_token_keys

NUM_ITEMS, NUM_USERS = 5_000, 20_000
BATCH = 1_000  # candidates of a training step
CANDIDATES = 500  # of a request
NUM_FIELDS, WIDTH, HISTORY = 75, 8, 20  # DIN's


class Din(nn.Module):
    """Deep Interest Network on ids."""

    def __init__(self) -> None:
        super().__init__()
        self.fields = nn.ModuleList(nn.Embedding(1_000, WIDTH) for _ in range(NUM_FIELDS))
        self.items = nn.Embedding(NUM_ITEMS, 2 * WIDTH)
        self.attention = nn.Sequential(nn.Linear(8 * WIDTH, 64), nn.ReLU(), nn.Linear(64, 1))
        self.mlp = nn.Sequential(
            *(nn.Linear((NUM_FIELDS + 4) * WIDTH, 256), nn.ReLU()),
            *(nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 1)),
        )

    def forward(self, field_CN: Tensor, history_CT: Tensor, item_C: Tensor) -> Tensor:
        fields = [table(field_CN[:, n]) for n, table in enumerate(self.fields)]
        item_CD, past_CTD = self.items(item_C), self.items(history_CT)
        both_CTD = item_CD[:, None].expand_as(past_CTD)
        met = torch.cat([both_CTD, past_CTD, both_CTD - past_CTD, both_CTD * past_CTD], -1)
        interest_CD = (self.attention(met) * past_CTD).sum(1)
        logit_C1: Tensor = self.mlp(torch.cat([*fields, interest_CD, item_CD], 1))
        return logit_C1


def run() -> dict[str, Any]:
    """By size: how many times DIN's training samples/s, and DIN's time for 500 candidates."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    din, content = Din(), ContentTable(catalogue())
    train_din, score_din = din_training(din), din_scoring(din)
    result: dict[str, Any] = {}
    for size in ("nano", "base"):
        config = replace(SIZES[size](NUM_DENSE), rates=RATES)
        for group in (10, 1):
            learner = OnlineLearner(config, 0, window=1 << 62)
            train = training(learner, content, config, group)
            name = f"{size}_train_vs_din_requests_of_{group}"
            result[name] = faster(compare(train, train_din))
        score = scoring(OnlineLearner(config, 0, window=1 << 62), content, config, CANDIDATES)
        result[f"{size}_500_candidates_vs_din"] = compare(score, score_din)
    return result


def faster(compared: dict[str, Any]) -> dict[str, Any]:
    """The same, and how many times the baseline's samples a second these are."""
    return {"samples_ratio": 1 / compared["time_ratio"], **compared}


def din_training(din: Din) -> Callable[[], object]:
    """One step of Adam on a batch."""
    random = torch.Generator().manual_seed(0)
    inputs = din_inputs(BATCH, random)
    label_C1 = torch.rand(BATCH, 1, generator=random).round()
    optimizer = torch.optim.Adam(din.parameters(), 1e-3)

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(din(*inputs), label_C1).backward()
        optimizer.step()

    step()
    return step


def din_scoring(din: Din) -> Callable[[], object]:
    """The logits of 500 candidates."""
    inputs = din_inputs(CANDIDATES, torch.Generator().manual_seed(1))

    def score() -> None:
        with torch.inference_mode():
            for _ in range(10):
                din(*inputs)

    return score


def din_inputs(num: int, random: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    return (
        torch.randint(0, 1_000, (num, NUM_FIELDS), generator=random),
        torch.randint(0, NUM_ITEMS, (num, HISTORY), generator=random),
        torch.randint(0, NUM_ITEMS, (num,), generator=random),
    )


def training(
    learner: OnlineLearner, content: ContentTable, config: RankerConfig, group: int
) -> Callable[[], object]:
    """One step of the online learner, which scores first, on requests of `group` candidates."""
    requests = [request(seed, group, config.history) for seed in range(BATCH // group)]
    batch = make_batch(requests, content, config.history)
    learner.learn(batch)
    return lambda: learner.learn(batch)


def scoring(
    learner: OnlineLearner, content: ContentTable, config: RankerConfig, num: int
) -> Callable[[], object]:
    """The scores of one request, user side included, with the items' vectors in the cache."""
    ranker = learner.ranker.eval()
    asked, draw = request(1, num, config.history), np.random.default_rng(0)
    with torch.inference_mode():
        cache = ranker.cache(make_items(np.array([0, *ITEM_KEYS]), content))
    rows = draw.integers(1, NUM_ITEMS, config.history), draw.integers(1, NUM_ITEMS, num)
    batch: Batch = make_request_batch(asked, *rows)

    def score() -> None:
        with torch.inference_mode():
            for _ in range(10):
                user = ranker.user_side(batch, cache.items)
                ranker.score(user, cache.rows(batch.candidates.item_C), batch.candidates)

    score()
    return score


def request(seed: int, num: int, num_events: int) -> Request:
    """A user with a full history, and their candidates."""
    draw = np.random.default_rng(seed)
    history_3T = np.stack(
        [
            draw.choice(ITEM_KEYS, num_events),
            np.sort(draw.integers(0, 7 * 86_400_000, num_events)),
            draw.integers(0, 2, num_events),
        ]
    )
    return Request(
        user_key=key(f"u{draw.integers(NUM_USERS)}"),
        user_tokens=user_token_keys(("age=3", "city=7")),
        item_keys=draw.choice(ITEM_KEYS, num).tolist(),
        features=RequestFeatures(draw.random((num, NUM_DENSE), np.float32), history_3T),
        label_NJ=draw.integers(0, 2, (num, 1)).astype(np.float32),
    )


def catalogue() -> dict[str, Item]:
    """Items with a title, a category and an author."""
    return {
        f"i{n}": Item(
            f"i{n}", f"word{n % 97} word{n % 89}", (f"c{n % 20}",), (f"author={n % 500}",)
        )
        for n in range(NUM_ITEMS)
    }


ITEM_KEYS = np.array([key(f"i{n}") for n in range(NUM_ITEMS)])
