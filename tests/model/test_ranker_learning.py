"""Everything in the ranker learns, with every fusion and head; and what cannot work is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from shop import CONFIG, RICH, asked, batch_of, rich_batch

from headrace.errors import ConfigError
from headrace.learning.learner import OnlineLearner
from headrace.learning.loss import heads_loss
from headrace.model.batch import Batch
from headrace.model.config import CLICK, SIZES, Head, RankerConfig
from headrace.model.layers.fusion import FUSIONS
from headrace.model.ranker import Ranker


def rich_trained(config: RankerConfig = RICH, steps: int = 3) -> OnlineLearner:
    made = OnlineLearner(config, seed=3, window=1_000)
    for step in range(steps):
        made.learn(rich_batch(10 * step))
    return made


@pytest.mark.parametrize("fusion", FUSIONS)
def test_it_learns_one_batch_by_heart_with_any_fusion(fusion: str) -> None:
    config, batch = replace(RICH, fusion=fusion), rich_batch(3, num_requests=4)
    made = OnlineLearner(config, seed=1, window=1_000)
    for step in range(300):
        made.learn(batch)
        if step % 20 == 19 and training_loss(made.ranker.eval(), batch) < 0.02:
            return
    pytest.fail(f"the loss is still {training_loss(made.ranker.eval(), batch):.3f}")


@torch.no_grad()
def training_loss(ranker: Ranker, batch: Batch) -> float:
    scored = ranker(batch)
    logit_CK = scored.logit_CK + scored.position_CK
    return float(heads_loss(ranker.config.heads, logit_CK, batch.candidates.label_CJ, 1))


@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_parameter_gets_a_gradient(fusion: str) -> None:
    trained = rich_trained(replace(RICH, fusion=fusion, num_cross=2), steps=2).ranker.train()
    trained.zero_grad()
    batch = rich_batch(300, num_requests=12)
    scored = trained(batch)
    logit_CK = scored.logit_CK + scored.position_CK
    heads_loss(RICH.heads, logit_CK, batch.candidates.label_CJ, 1).backward()
    still = {n for n, p in trained.named_parameters() if p.grad is None or not p.grad.any()}
    assert not still


def test_every_table_is_trained() -> None:
    ranker = rich_trained(steps=3).ranker
    for name, table in ranker.tables.items():
        assert len(table) > 0 and table.weight_RD[1 : len(table) + 1].any(), name
        assert not table.weight_RD[0].any(), name


@pytest.mark.parametrize("size", ["nano", "base"])
def test_a_size_gives_a_ranker_that_scores(size: str) -> None:
    ranker = Ranker(SIZES[size](CONFIG.num_dense)).eval()
    with torch.no_grad():
        assert torch.isfinite(ranker(batch_of(asked(1), asked(2))).logit_CK).all()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"heads": (Head("view"),)}, "must begin with 'click'"),
        ({"heads": (Head(CLICK), Head(CLICK))}, "different names"),
        ({"heads": (Head(CLICK), Head("a", "categorical", 2), Head("b"))}, "must come last"),
        ({"dim": 9, "num_attention_heads": 2}, "multiple of num_attention_heads 2"),
        ({"modality_dropout": 1.0}, "must lie in"),
        ({"surfaces": ("home", "home")}, "must be different"),
        ({"actions": tuple(f"did_{n}" for n in range(9))}, "at most 8 different ones"),
        ({"actions": (CLICK, CLICK)}, "at most 8 different ones"),
        ({"aversions": ("hide",)}, "must be among the actions"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(
    changes: dict[str, object], problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        replace(CONFIG, **changes)  # type: ignore[arg-type]
