"""Adagrad makes the steps of torch's own, without importing the compiler of torch."""

from __future__ import annotations

import subprocess
import sys

import torch
from torch import Tensor

from headrace.learning.adagrad import Adagrad

RATE = 0.05


def weights() -> list[Tensor]:
    torch.manual_seed(3)
    return [torch.nn.Parameter(torch.randn(shape)) for shape in ((4, 3), (3,), (2,))]


def give_gradients(of: list[Tensor], seed: int) -> None:
    """To all but the last, which takes no part."""
    draw = torch.Generator().manual_seed(seed)
    for one in of[:-1]:
        one.grad = torch.randn(one.shape, generator=draw)


def test_the_steps_are_those_of_torch_also_after_a_restart() -> None:
    ours, theirs = weights(), weights()
    optimizer, expected = Adagrad(ours, RATE), torch.optim.Adagrad(theirs, lr=RATE, fused=True)
    for seed in range(6):
        if seed == 3:
            state = optimizer.state_dict()
            optimizer = Adagrad(ours, RATE)
            optimizer.load_state_dict(state)
        for step in (optimizer, expected):
            step.zero_grad()
        give_gradients(ours, seed)
        give_gradients(theirs, seed)
        optimizer.step()
        expected.step()
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other)


def test_the_state_of_torch_is_read() -> None:
    ours, theirs = weights(), weights()
    expected = torch.optim.Adagrad(theirs, lr=RATE, fused=True)
    give_gradients(theirs, 1)
    expected.step()
    optimizer = Adagrad(ours, RATE)
    optimizer.load_state_dict(expected.state_dict())
    assert torch.allclose(
        optimizer.state_dict()["state"][0]["sum"], expected.state[theirs[0]]["sum"]
    )


def test_a_learner_does_not_import_the_compiler() -> None:
    code = """
import sys
from headrace.catalogue.words import ContentTable
from headrace.learning.learner import OnlineLearner
from headrace.model.config import nano
from headrace.features.inputs import NUM_DENSE
OnlineLearner(nano(NUM_DENSE), seed=1, window=10, content=ContentTable({}))
sys.exit("torch._dynamo" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
