"""Target attention: slots give back what was put in, and weights are a softmax per candidate."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headrace.model.layers.target_attention import Slots, attend, far

sizes = st.lists(st.integers(1, 6), min_size=1, max_size=7)


@given(sizes)
def test_what_is_spread_over_slots_is_gathered_as_it_was(counts: list[int]) -> None:
    request_C = torch.repeat_interleave(torch.tensor(counts))
    slots = Slots(request_C, len(counts))
    value_CX = torch.arange(2.0 * len(request_C)).view(-1, 2) + 1
    spread_BNX = slots.spread(value_CX)
    assert spread_BNX.shape == (len(counts), max(counts), 2)
    assert torch.equal(slots.gather(spread_BNX), value_CX)
    for request, values in enumerate(value_CX.split(counts)):
        assert torch.equal(spread_BNX[request, : len(values)], values)
        assert not spread_BNX[request, len(values) :].any()


@given(sizes)
def test_each_candidate_gets_the_value_of_its_request(counts: list[int]) -> None:
    request_C = torch.repeat_interleave(torch.tensor(counts))
    value_BX = torch.arange(1.0, len(counts) + 1)[:, None]
    of_CX = Slots(request_C, len(counts)).of_request(value_BX)
    assert torch.equal(of_CX.expand(len(request_C), 1), value_BX[request_C])


@pytest.mark.parametrize("num_there", [1, 3, 5])
def test_weights_are_the_softmax_of_scaled_products_over_what_is_there(num_there: int) -> None:
    random = torch.Generator().manual_seed(num_there)
    query_BND = torch.randn(2, 3, 4, generator=random)
    key_BSD = torch.randn(2, 5, 4, generator=random)
    mask_BS = (torch.arange(5) < num_there).expand(2, 5)
    weight_BNS = attend(query_BND, key_BSD, far(mask_BS)[:, None])
    logit_BNS = query_BND @ key_BSD.transpose(1, 2) / 2
    expected_BNS = logit_BNS[..., :num_there].softmax(-1)
    assert torch.allclose(weight_BNS[..., :num_there], expected_BNS, atol=1e-6)
    assert not weight_BNS[..., num_there:].any()
