"""Dynamic embeddings: the index against a dictionary, the update against its formula."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from headrace.model.embedding import DynamicEmbedding, KeyIndex

FIRST_CAPACITY = 1 << 10
MULTIPLIER = 0x9E3779B97F4A7C15

keys = st.one_of(st.integers(1, 40), st.integers(1, 2**63 - 1))
key_batches = st.lists(st.lists(keys | st.just(0), max_size=30, unique=True), max_size=8)


def array(values: list[int]) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def colliding(number: int, slot: int) -> list[int]:
    """Keys that all want the same slot of the first capacity."""
    inverse = pow(MULTIPLIER, -1, 2**64)
    candidates = (((slot << 54) + n) * inverse % 2**64 for n in range(1, 10 * number))
    return [key for key in candidates if 0 < key < 2**63][:number]


def check_against(index: KeyIndex, rows: dict[int, int]) -> None:
    assert index.num_rows == len(rows) + 1
    assert index.find(array(list(rows))).tolist() == list(rows.values())
    by_row = index.keys_by_row()
    assert by_row[0] == 0 and {key: by_row[row] for key, row in rows.items()} == {
        k: k for k in rows
    }


@settings(deadline=None, max_examples=60)
@given(key_batches)
def test_the_index_is_a_dictionary_that_numbers_keys_as_they_come(batches: list[list[int]]) -> None:
    index, rows = KeyIndex(capacity=16), dict[int, int]()
    for batch in batches:
        known = [rows.get(key, 0) for key in batch]
        assert index.find(array(batch)).tolist() == known
        for key in batch:
            if key:
                rows.setdefault(key, len(rows) + 1)
        assert index.add(array(batch)).tolist() == [rows.get(key, 0) for key in batch]
        check_against(index, rows)


def test_the_index_grows_and_keeps_every_row() -> None:
    index, random = KeyIndex(capacity=16), np.random.default_rng(0)
    every = np.unique(random.integers(1, 2**63 - 1, 20_000))
    random.shuffle(every)
    for part in np.array_split(every, 37):
        index.add(part)
    assert np.array_equal(index.find(every), np.arange(1, len(every) + 1))
    assert not index.find(every[:100] ^ 1).any()


@pytest.mark.parametrize("slot", [0, 77, FIRST_CAPACITY - 1])
def test_keys_that_want_the_same_slot_all_find_a_place(slot: int) -> None:
    crowd = colliding(300, slot)
    index = KeyIndex(FIRST_CAPACITY)
    assert index.add(array(crowd[:200])).tolist() == list(range(1, 201))
    assert index.add(array(crowd[100:250])).tolist() == list(range(101, 251))
    assert index.find(array(crowd[250:])).tolist() == [0] * 50
    check_against(index, {key: row for row, key in enumerate(crowd[:250], 1)})


def test_key_zero_is_no_key() -> None:
    index = KeyIndex()
    assert index.add(array([0])).tolist() == [0]
    assert index.add(array([0, 9])).tolist() == [0, 1]
    assert index.find(array([0, 9, 0])).tolist() == [0, 1, 0]
    assert index.find(array([])).tolist() == [] and index.num_rows == 2


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


def test_only_the_rows_that_were_read_change() -> None:
    table = random_table(1)
    every_N = torch.arange(1, 60)
    before = table.read(every_N)
    accumulator_R = table.accumulator_R.clone()
    trained(table, torch.tensor([3, 0, 55, 3]), torch.ones(4, 3))
    changed_N = (table.read(every_N) != before).any(1)
    assert every_N[changed_N].tolist() == [3, 55]
    rows = table.index.find(array([3, 55]))
    changed_R = table.accumulator_R != accumulator_R
    assert sorted(torch.nonzero(changed_R).ravel().tolist()) == sorted(rows.tolist())


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


def saved(table: DynamicEmbedding, with_optimizer: bool) -> dict[str, Tensor]:
    """The state after a round trip through a file."""
    buffer = io.BytesIO()
    torch.save(table.state_dict(with_optimizer), buffer)
    buffer.seek(0)
    state: dict[str, Tensor] = torch.load(buffer, weights_only=True)
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
    assert one.keys() == other.keys() == {"keys", "weight", "accumulator"}
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_saved_state_does_not_change_with_the_table() -> None:
    table = random_table(4)
    state = table.state_dict(with_optimizer=True)
    copies = {name: tensor.clone() for name, tensor in state.items()}
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
