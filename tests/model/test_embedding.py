"""Dynamic embeddings: the update against its formula, and what a table keeps, saves and loads."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from headrace.model.embedding.table import DynamicEmbedding


def trained(table: DynamicEmbedding, keys_N: Tensor, gradient_ND: Tensor) -> Tensor:
    """One step in which the rows read for these keys get these gradients; returns what was read."""
    rows_ND = table.train(keys_N)
    (rows_ND * gradient_ND).sum().backward()  # type: ignore[no-untyped-call]
    table.step()
    return rows_ND.detach()


def random_table(seed: int, num_keys: int = 50, steps: int = 5, dim: int = 3) -> DynamicEmbedding:
    table, random = DynamicEmbedding(dim, learning_rate=0.1), torch.Generator().manual_seed(seed)
    for _ in range(steps):
        keys_N = torch.randint(1, num_keys, (20,), generator=random)
        trained(table, keys_N, torch.randn(20, dim, generator=random))
    return table


def accumulators(table: DynamicEmbedding) -> dict[int, float]:
    state = table.state_dict(with_optimizer=True)
    return dict(zip(state["keys"].tolist(), state["accumulator"].tolist(), strict=True))


def test_an_unseen_key_reads_as_zeros_and_gets_no_row_by_reading() -> None:
    table = DynamicEmbedding(4, learning_rate=0.1)
    keys_N2 = torch.tensor([[5, 6], [0, 2**62]])
    assert table.read(keys_N2).shape == (2, 2, 4) and not table.read(keys_N2).any()
    assert len(table) == 0
    assert not table.train(keys_N2).any() and len(table) == 3


def test_a_step_is_row_wise_adagrad() -> None:
    table = DynamicEmbedding(2, learning_rate=0.5, epsilon=1e-8)
    keys_N = torch.tensor([7, 9, 7])
    trained(table, keys_N, torch.tensor([[1.0, 0.0], [0.0, 4.0], [2.0, 4.0]]))
    # Key 7 was read twice: its gradient is (3, 4), mean square 12.5. Key 9: (0, 4), mean square 8.
    first_7 = [-0.5 * 3 / 12.5**0.5, -0.5 * 4 / 12.5**0.5]
    first_9 = [0.0, -0.5 * 4 / 8**0.5]
    assert table.read(torch.tensor([7, 9])).tolist() == pytest.approx(np.array([first_7, first_9]))
    trained(table, torch.tensor([7]), torch.tensor([[1.0, 0.0]]))
    # The accumulator of key 7 grows by 0.5.
    second_7 = [first_7[0] - 0.5 / 13**0.5, first_7[1]]
    assert table.read(torch.tensor([7, 9])).tolist() == pytest.approx(np.array([second_7, first_9]))


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(1, 5))
def test_training_equals_row_wise_adagrad_on_a_dense_table(seed: int, dim: int, reads: int) -> None:
    random, num_keys, rate, epsilon = torch.Generator().manual_seed(seed), 40, 0.1, 1e-8
    table = DynamicEmbedding(dim, rate, epsilon)
    weight_KD = torch.zeros(num_keys, dim, dtype=torch.float64)
    square_K = torch.zeros(num_keys, dtype=torch.float64)
    for _ in range(10):
        gradient_KD = torch.zeros_like(weight_KD)
        for _ in range(reads):
            keys_N = torch.randint(1, num_keys, (15,), generator=random)
            gradient_ND = torch.randn(15, dim, generator=random)
            (table.train(keys_N) * gradient_ND).sum().backward()  # type: ignore[no-untyped-call]
            gradient_KD.index_add_(0, keys_N, gradient_ND.double())
        table.step()
        square_K += gradient_KD.square().mean(1)
        weight_KD -= rate * gradient_KD / (square_K.sqrt() + epsilon)[:, None]
    read_KD = table.read(torch.arange(num_keys))
    assert torch.allclose(read_KD.double(), weight_KD, rtol=0, atol=1e-6)


def test_only_the_rows_that_were_read_change() -> None:
    table = random_table(1)
    every_N = torch.arange(1, 60)
    before = table.read(every_N)
    accumulator = accumulators(table)
    trained(table, torch.tensor([3, 0, 55, 3]), torch.ones(4, 3))
    changed_N = (table.read(every_N) != before).any(1)
    assert every_N[changed_N].tolist() == [3, 55]
    changed = {key for key, square in accumulators(table).items() if square != accumulator.get(key)}
    assert changed == {3, 55}


def test_key_zero_is_never_trained() -> None:
    table = DynamicEmbedding(2, learning_rate=0.5)
    trained(table, torch.tensor([0, 4]), torch.ones(2, 2))
    assert not table.read(torch.tensor([0])).any() and table.read(torch.tensor([4])).all()


def test_rows_read_but_forgotten_or_without_gradient_do_not_change() -> None:
    table = random_table(2)
    every_N = torch.arange(1, 60)
    before = table.read(every_N)
    table.train(every_N).sum().backward()  # type: ignore[no-untyped-call]
    table.forget()
    table.step()
    table.train(every_N)
    table.step()
    assert torch.equal(table.read(every_N), before)


def test_the_table_grows_beyond_its_first_rows_and_keeps_them() -> None:
    table = DynamicEmbedding(2, learning_rate=0.5)
    first_N = torch.arange(1, 1_001)
    trained(table, first_N, torch.ones(1_000, 2))
    before = table.read(first_N)
    trained(table, torch.arange(1_001, 5_001), torch.ones(4_000, 2))
    assert torch.equal(table.read(first_N), before)
    assert len(table) == 5_000 and table.read(torch.tensor([4_999])).all()


def saved(table: DynamicEmbedding, with_optimizer: bool) -> dict[str, Any]:
    """The state after a round trip through a file."""
    buffer = io.BytesIO()
    torch.save(table.state_dict(with_optimizer), buffer)
    buffer.seek(0)
    state: dict[str, Any] = torch.load(buffer, weights_only=True)
    return state


@pytest.mark.parametrize("num_keys", [50, 3_000])
def test_a_loaded_table_is_bit_equal_and_trains_on_identically(num_keys: int) -> None:
    table = random_table(3, num_keys, steps=150 if num_keys > 1_000 else 5)
    loaded = DynamicEmbedding(3, learning_rate=0.1)
    loaded.load_state_dict(saved(table, with_optimizer=True))
    random = torch.Generator().manual_seed(9)
    for _ in range(3):
        keys_N = torch.randint(1, 2 * num_keys, (30,), generator=random)
        gradient_ND = torch.randn(30, 3, generator=random)
        read, again = trained(table, keys_N, gradient_ND), trained(loaded, keys_N, gradient_ND)
        assert torch.equal(read, again)
    one, other = saved(table, with_optimizer=True), saved(loaded, with_optimizer=True)
    assert one.keys() == other.keys() >= {"keys", "weight", "accumulator"}
    assert all(
        torch.equal(one[name], other[name])
        if isinstance(one[name], Tensor)
        else one[name] == other[name]
        for name in one
    )


def test_a_saved_state_does_not_change_with_the_table() -> None:
    table = random_table(4)
    state = table.state_dict(with_optimizer=True)
    copies = {name: value.clone() for name, value in state.items() if isinstance(value, Tensor)}
    trained(table, torch.arange(1, 30), torch.ones(29, 3))
    assert all(torch.equal(state[name], copies[name]) for name in copies)


def test_serving_needs_no_accumulators() -> None:
    table = random_table(5)
    loaded = DynamicEmbedding(3, learning_rate=0.1)
    loaded.load_state_dict(saved(table, with_optimizer=False))
    assert "accumulator" not in table.state_dict(with_optimizer=False)
    every_N = torch.arange(1, 60)
    assert torch.equal(loaded.read(every_N), table.read(every_N))


def test_loading_replaces_whatever_the_table_held() -> None:
    small, large = random_table(6), DynamicEmbedding(3, learning_rate=0.1)
    trained(large, torch.arange(1, 3_000), torch.ones(2_999, 3))
    large.load_state_dict(saved(small, with_optimizer=True))
    assert len(large) == len(small)
    every_N = torch.arange(1, 3_000)
    assert torch.equal(large.read(every_N), small.read(every_N))
    for table in (small, large):
        trained(table, every_N, torch.ones(2_999, 3))
    assert torch.equal(large.read(every_N), small.read(every_N))
