"""`python -m benchmarks ranker`, on small batches and with a DIN that takes a second for a step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pytest
import torch

from benchmarks import ranker
from benchmarks.peers import environment
from benchmarks.peers.inputs import DRAWN, HISTORY, drawn


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


def test_din_gets_as_many_inputs_as_are_said() -> None:
    assert tuple(ranker.DIN_SIZES) == DRAWN
    inputs = drawn(rows=8, candidates=4, inputs=75, dense=34, users=9, items=7)
    numbers = inputs.dense_NF.shape[1]
    assert (inputs.num_rows, numbers, len(inputs.dense_names)) == (12, 34, 34)
    assert numbers + len(inputs.code_N) + 1 == 75  # and the action of a past event
    assert inputs.history_NT.shape == inputs.action_NT.shape == (12, HISTORY)
    assert all(code_N.max() < inputs.num_codes[n] for n, code_N in inputs.code_N.items())
