"""Similarity tiers: counted by hand, and in any order of the events."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from headrace.model.layers.similarity import NUM_BINS, NUM_SIMILARITIES, similarity_tiers


def random_events(seed: int, num_events: int) -> tuple[Tensor, Tensor, Tensor]:
    """Cosines of 3 requests' 4 candidates with past events, the mask and the actions."""
    random = np.random.default_rng(seed)
    cosine_BNT = torch.from_numpy(random.uniform(-1, 1, (3, 4, num_events)).astype(np.float32))
    mask_BT = torch.from_numpy(random.random((3, num_events)) < 0.7)
    return cosine_BNT, mask_BT, torch.from_numpy(random.integers(0, 3, (3, num_events)))


def by_hand(cosine_T: np.ndarray, action_T: np.ndarray) -> list[float]:
    """The features of one candidate, from the events that are there."""
    groups = [cosine_T[action_T != 0], cosine_T[action_T == 0]]
    edges = np.linspace(-1, 1, NUM_BINS + 1)
    counts = np.concatenate([np.histogram(group, edges)[0] for group in groups])
    means = [group.mean() if len(group) else 0.0 for group in groups]
    greatest = [group.max() if len(group) else 0.0 for group in groups]
    return [*np.log1p(counts).tolist(), *means, *greatest]


@settings(max_examples=40)
@given(st.integers(0, 2**20), st.integers(1, 9))
def test_tiers_are_what_counting_by_hand_gives(seed: int, num_events: int) -> None:
    cosine_BNT, mask_BT, action_BT = random_events(seed, num_events)
    tiers_BNX = similarity_tiers(cosine_BNT, mask_BT, action_BT)
    assert tiers_BNX.shape == (3, 4, NUM_SIMILARITIES)
    for request in range(3):
        there_T = mask_BT[request].numpy()
        for candidate in range(4):
            expected = by_hand(
                cosine_BNT[request, candidate].numpy()[there_T], action_BT[request].numpy()[there_T]
            )
            assert np.allclose(tiers_BNX[request, candidate], expected, atol=1e-5)


def test_the_same_content_is_in_the_highest_bin_and_its_opposite_in_the_lowest() -> None:
    there, shown = torch.ones(1, 1, dtype=torch.bool), torch.zeros(1, 1, dtype=torch.int64)
    for cosine, expected in ((1.0 + 2e-7, NUM_BINS - 1), (-1.0 - 2e-7, 0)):
        tiers = similarity_tiers(torch.full((1, 1, 1), cosine), there, shown)[0, 0]
        bins = tiers[NUM_BINS : 2 * NUM_BINS]
        assert bins.nonzero().ravel().tolist() == [expected]


def test_the_order_of_the_events_does_not_matter() -> None:
    cosine_BNT, mask_BT, action_BT = random_events(5, 8)
    order = torch.tensor([3, 1, 7, 0, 2, 6, 5, 4])
    tiers_BNX = similarity_tiers(cosine_BNT, mask_BT, action_BT)
    other_BNX = similarity_tiers(cosine_BNT[..., order], mask_BT[:, order], action_BT[:, order])
    assert torch.allclose(tiers_BNX, other_BNX, atol=1e-6)


def test_without_events_all_is_zero() -> None:
    cosine_BNT, mask_BT, action_BT = random_events(6, 8)
    assert not similarity_tiers(cosine_BNT, torch.zeros_like(mask_BT), action_BT).any()
