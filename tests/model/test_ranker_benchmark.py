"""`python -m benchmarks ranker`, on small batches and with a DIN that takes a second for a step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pytest
import torch

from benchmarks import ranker
from benchmarks.peers import environment


@contextmanager
def slow_din(sizes: Mapping[str, int]) -> Iterator[Callable[[str, int], float]]:
    assert sizes["inputs"] == 75
    yield lambda step, times: {"train": 1.0, "score": 0.5}[step] * times


def test_both_sizes_are_compared_in_training_and_in_serving(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(environment, "steps", slow_din)
    monkeypatch.setattr(ranker, "BATCH", 20)
    monkeypatch.setattr(ranker, "STEPS", {"train": 1, "score": 1})
    num_threads = torch.get_num_threads()
    result = ranker.run()
    torch.set_num_threads(num_threads)
    for size in ("nano", "base"):
        for group in (10, 1):
            train = result[f"{size}_train_vs_din_requests_of_{group}"]
            assert train["baseline_samples_per_s"] == 20
            assert train["samples_ratio"] == pytest.approx(1 / train["time_ratio"])
            assert train["subject_samples_per_s"] > 20  # a step takes less than a second
        assert result[f"{size}_500_candidates_vs_din"]["baseline_ms"] == 500
        user_side = result[f"{size}_user_side_5000_vs_50"]
        assert 0 < user_side["subject_ms"] and user_side["time_ratio"] < 10
