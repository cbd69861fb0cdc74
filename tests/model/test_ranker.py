"""The ranker: what a score may depend on, what it may not, and that everything in it learns."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from headrace.datasets.dataset import Item
from headrace.features.assemble import NUM_DENSE, RequestFeatures
from headrace.features.table import HISTORY
from headrace.keys import key
from headrace.model.batch import Batch, make_batch, make_request_batch
from headrace.model.learner import OnlineLearner
from headrace.model.ranker import AGE_BUCKETS, Ranker, RankerConfig
from headrace.model.tokens import ContentTable, user_token_keys

CONFIG = RankerConfig(dim=8, hidden=16, dense_learning_rate=1e-2)
WORDS = ("red", "blue", "mug", "pen", "lamp")
# Every fourth item has no content at all.
ITEMS = {
    f"i{n}": Item(f"i{n}", WORDS[n % 5], (WORDS[n % 3],), (f"maker={n % 2}",))
    if n % 4
    else Item(f"i{n}")
    for n in range(40)
}
CONTENT = ContentTable(ITEMS)


@dataclass(frozen=True)
class Request:
    """One request as the tests make it: `make_batch` takes several."""

    user: str
    attributes: tuple[str, ...]
    items: tuple[str, ...]
    features: RequestFeatures
    clicked: tuple[int, ...]

    def only(self, *numbers: int) -> Request:
        """The same request with these of its candidates."""
        return replace(
            self,
            items=tuple(self.items[n] for n in numbers),
            features=RequestFeatures(
                self.features.dense_NF[list(numbers)], self.features.history_3T
            ),
            clicked=tuple(self.clicked[n] for n in numbers),
        )


def request(seed: int, num_items: int = 5, num_events: int = 6) -> Request:
    random = np.random.default_rng(seed)
    history_3T = np.zeros((3, HISTORY.length), dtype=np.int64)
    past = random.integers(0, 45, num_events)  # some are not in the catalogue
    history_3T[0, :num_events] = [key(f"i{n}") for n in past]
    history_3T[1, :num_events] = 2 ** random.uniform(0, 35, num_events)
    history_3T[2, :num_events] = random.integers(0, 2, num_events)
    items = random.choice(45, num_items, replace=False)
    return Request(
        user=f"u{seed % 7}",
        attributes=("age=30", f"city={seed % 3}")[: seed % 3],
        items=tuple(f"i{n}" for n in items),
        features=RequestFeatures(
            random.normal(1, 2, (num_items, NUM_DENSE)).astype(np.float32), history_3T
        ),
        clicked=tuple(random.integers(0, 2, num_items).tolist()),
    )


def batch_of(*requests: Request) -> Batch:
    return make_batch(
        [key(r.user) for r in requests],
        [user_token_keys(r.attributes) for r in requests],
        [[key(item_id) for item_id in r.items] for r in requests],
        [r.features for r in requests],
        CONTENT,
        [label for r in requests for label in r.clicked],
    )


def learner(steps: int = 20) -> OnlineLearner:
    """A learner that has trained on enough for every table to hold something."""
    made = OnlineLearner(CONFIG, seed=3, window=1_000)
    for step in range(steps):
        made.learn(batch_of(*(request(4 * step + n, num_events=n * 10) for n in range(4))))
    return made


@pytest.fixture(scope="module")
def ranker() -> Ranker:
    return learner().ranker.eval()


@torch.no_grad()
def logits(ranker: Ranker, *requests: Request) -> Tensor:
    scored: Tensor = ranker(batch_of(*requests))
    return scored


def close(one: Tensor, other: Tensor) -> bool:
    """Equal but for the order of additions in matrix products of other sizes."""
    return torch.allclose(one, other, rtol=1e-4, atol=1e-5)


def test_a_score_does_not_depend_on_the_other_candidates_of_its_request(ranker: Ranker) -> None:
    asked = request(101, num_items=8)
    together_C = logits(ranker, asked)
    for number in range(8):
        assert close(logits(ranker, asked.only(number)), together_C[number : number + 1])
    assert close(logits(ranker, asked.only(5, 2, 7)), together_C[[5, 2, 7]])
    assert together_C.std() > 1e-3


def test_a_score_does_not_depend_on_the_other_requests_of_its_batch(ranker: Ranker) -> None:
    requests = [request(seed, num_items=seed % 4 + 1, num_events=seed % 9) for seed in range(9)]
    alone_C = torch.cat([logits(ranker, one) for one in requests])
    assert close(logits(ranker, *requests), alone_C)
    backwards_C = logits(ranker, *requests[::-1])
    sizes = [len(one.items) for one in requests]
    assert close(torch.cat(backwards_C.split(sizes[::-1])[::-1]), alone_C)


@torch.no_grad()
@pytest.mark.parametrize("num_events", [0, 1, 32])
def test_serving_with_a_cached_item_side_scores_as_training_does(
    ranker: Ranker, num_events: int
) -> None:
    asked = request(55, num_items=9, num_events=num_events)
    key_I = np.array([0, *(key(item_id) for item_id in ITEMS)], dtype=np.int64)
    row_of = {item_key: row for row, item_key in enumerate(key_I.tolist())}
    asked = asked.only(*(n for n, item_id in enumerate(asked.items) if item_id in ITEMS))
    history_3T = asked.features.history_3T
    history_3T[:, [item not in row_of for item in history_3T[0].tolist()]] = 0
    items = ranker.item_side(torch.from_numpy(key_I), torch.from_numpy(CONTENT.tokens_UML(key_I)))
    batch = make_request_batch(
        key(asked.user),
        user_token_keys(asked.attributes),
        asked.features,
        np.array([row_of[item] for item in history_3T[0].tolist()]),
        np.array([row_of[key(item_id)] for item_id in asked.items]),
    )
    served_C = ranker.score(ranker.user_side(batch, items), batch, items)
    assert len(served_C) > 3 and close(served_C, logits(ranker, asked))


@torch.no_grad()
@pytest.mark.parametrize("num_requests", [1, 3])
def test_what_lies_in_empty_history_slots_does_not_matter(
    ranker: Ranker, num_requests: int
) -> None:
    batch = batch_of(*(request(seed, num_events=5 * seed) for seed in range(num_requests)))
    empty_BT = ~batch.history_mask_BT
    assert empty_BT.any()
    other = replace(
        batch,
        history_item_BT=torch.where(empty_BT, 1, batch.history_item_BT),
        history_age_BT=torch.where(empty_BT, 10**9, batch.history_age_BT),
        history_clicked_BT=torch.where(empty_BT, 1, batch.history_clicked_BT),
    )
    assert torch.equal(ranker(other), ranker(batch))


def test_the_history_matters(ranker: Ranker) -> None:
    asked = request(7, num_events=6)
    before_C = logits(ranker, asked)
    for row, change in ((0, key("i3")), (1, 1), (2, 1)):
        changed = asked.features.history_3T.copy()
        changed[row, :6] = change
        features = RequestFeatures(asked.features.dense_NF, changed)
        assert not close(logits(ranker, replace(asked, features=features)), before_C)


@pytest.mark.parametrize("fresh", [True, False], ids=["untrained", "trained"])
def test_missing_content_and_an_empty_history_give_a_score(ranker: Ranker, fresh: bool) -> None:
    scorer = Ranker(CONFIG, seed=1).eval() if fresh else ranker
    bare = replace(
        request(1, num_events=0), items=("i0", "i4", "unheard", "of", "i8"), attributes=()
    )
    unheard = replace(bare, user="nobody")
    scored = [logits(scorer, bare), logits(scorer, unheard), logits(scorer, bare, unheard, bare)]
    assert all(torch.isfinite(logit_C).all() for logit_C in scored)


def test_any_age_of_a_history_event_gives_a_score(ranker: Ranker) -> None:
    asked = request(2, num_events=4)
    asked.features.history_3T[1, :4] = [0, 1, 2**62, 1_000 * 2**AGE_BUCKETS]
    assert torch.isfinite(logits(ranker, asked)).all()


def test_scoring_leaves_the_tables_as_they_were(ranker: Ranker) -> None:
    sizes = {name: len(table) for name, table in ranker.tables.items()}
    logits(ranker, replace(request(3), user="a stranger", items=("n1", "n2", "n3", "n4", "n5")))
    assert {name: len(table) for name, table in ranker.tables.items()} == sizes


def round_trip(state: dict[str, Any]) -> dict[str, Any]:
    """The state after a round trip through a file."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    loaded: dict[str, Any] = torch.load(buffer, weights_only=True)
    return loaded


@pytest.mark.parametrize("with_optimizer", [True, False])
def test_a_loaded_ranker_scores_bit_equal(ranker: Ranker, with_optimizer: bool) -> None:
    loaded = Ranker(CONFIG, seed=99)
    requests = [request(seed) for seed in range(200, 206)]
    assert not close(logits(loaded.eval(), *requests), logits(ranker, *requests))
    loaded.load_state(round_trip(ranker.state(with_optimizer)))
    assert torch.equal(logits(loaded, *requests), logits(ranker, *requests))


def test_the_seed_decides_the_first_weights() -> None:
    one, same, other = (Ranker(CONFIG, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_it_learns_one_batch_by_heart() -> None:
    batch = batch_of(*(request(seed) for seed in range(8)))
    made = OnlineLearner(CONFIG, seed=1, window=1_000)
    for _ in range(150):
        made.learn(batch)
    with torch.no_grad():
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            made.ranker.eval()(batch), batch.clicked_C
        )
    assert loss < 0.01


def test_every_dense_parameter_gets_a_gradient() -> None:
    trained = learner(steps=3).ranker.train()
    trained.zero_grad()
    batch = batch_of(*(request(seed, num_events=32) for seed in range(300, 308)))
    loss = torch.nn.functional.binary_cross_entropy_with_logits(trained(batch), batch.clicked_C)
    loss.backward()  # type: ignore[no-untyped-call]
    gradients = {name: parameter.grad for name, parameter in trained.named_parameters()}
    assert not [name for name, gradient in gradients.items() if gradient is None]
    # A softmax does not change when one number is added to all its logits, which these two do.
    still = {"key.bias", "fusion.gate.bias"}
    largest = {name: float(g.abs().max()) for name, g in gradients.items() if g is not None}
    assert {name for name, size in largest.items() if size < 1e-7} <= still


def test_every_table_is_trained() -> None:
    trained = learner(steps=3).ranker
    for name, table in trained.tables.items():
        assert len(table) > 0 and table.weight_RD[1 : len(table) + 1].any(), name
        assert not table.weight_RD[0].any(), name
