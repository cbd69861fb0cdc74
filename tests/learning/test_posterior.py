"""The posterior of the last layer: draws of its weights, which a version comes with."""

from __future__ import annotations

import pytest
import torch

from headrace.learning import last_layer_fit
from headrace.learning.last_layer_fit import LastLayerFit

TRUTH_R = torch.tensor([0.3, 1.0, -0.7, 0.4])


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No sample is left out, so that little streams get to a solution."""
    monkeypatch.setattr(last_layer_fit, "FIRST_SAMPLES", 0)


def fitted(num: int, seed: int = 0) -> LastLayerFit:
    """A fit that has learned clicks of these log odds."""
    random = torch.Generator().manual_seed(seed)
    read_CR = torch.randn(num, len(TRUTH_R), generator=random)
    read_CR[:, 0] = 1
    label_C1 = (torch.rand(num, generator=random) < torch.sigmoid(read_CR @ TRUTH_R)).float()[
        :, None
    ]
    fit = LastLayerFit((1, 3), 1)
    for rows in torch.arange(num).split(200):
        fit.learn(read_CR[rows], torch.zeros(len(rows), 1), label_C1[rows])
    return fit


def test_draws_spread_as_the_inverse_of_the_precision() -> None:
    fit = fitted(4_000)
    deviation_JRS, state = fit.deviations(40_000), fit.state()
    assert deviation_JRS is not None
    ridge_R = torch.repeat_interleave(state["ridge"][0], torch.tensor([1, 3]))
    covariance_RR = torch.linalg.inv(state["precision"][0] + torch.diag(ridge_R)).float()
    found_RR = deviation_JRS[0] @ deviation_JRS[0].T / 40_000
    assert torch.allclose(found_RR, covariance_RR, atol=0.05 * float(covariance_RR.max()))


def test_draws_are_narrower_the_more_was_learned() -> None:
    few, many = fitted(2_000).deviations(), fitted(20_000).deviations()
    assert few is not None and many is not None
    assert many.std() < 0.5 * few.std()


def test_before_a_solution_there_are_none_and_the_same_fit_has_the_same() -> None:
    assert LastLayerFit((1, 3), 1).deviations() is None
    one, again = fitted(3_000).deviations(), fitted(3_000).deviations()
    assert one is not None and again is not None and torch.equal(one, again)
