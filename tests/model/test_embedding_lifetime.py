"""When an id gets a row, what the row begins with, when it loses it, and what others hear of it."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from headrace.errors import ConfigError
from headrace.model.embedding.table import DynamicEmbedding, Lifetime

batches = st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=12), min_size=1, max_size=20)


def trained(table: DynamicEmbedding, *keys: int, now: int | None = None) -> None:
    """One step in which these keys get a gradient of ones."""
    table.train(torch.tensor(keys)).sum().backward()  # type: ignore[no-untyped-call]
    table.step(now)


def has_row(table: DynamicEmbedding, key: int) -> bool:
    return key in table.state_dict(with_optimizer=False)["keys"].tolist()


@settings(max_examples=50)
@given(batches, st.integers(1, 6))
def test_a_key_has_a_row_from_its_kth_occurrence_on(steps: list[list[int]], k: int) -> None:
    table, occurred = DynamicEmbedding(2, 0.1, lifetime=Lifetime(admit_after=k)), Counter[int]()
    for step in steps:
        trained(table, *step)
        occurred.update(key for key in step if key)
        expected = {key for key, times in occurred.items() if times >= k}
        assert set(table.state_dict(with_optimizer=False)["keys"].tolist()) == expected
        assert len(table) == len(expected)


@settings(max_examples=50)
@given(batches, st.integers(1, 8))
def test_a_key_keeps_its_row_while_it_is_trained_often_enough(
    steps: list[list[int]], expire_after: int
) -> None:
    table = DynamicEmbedding(2, 0.1, lifetime=Lifetime(expire_after=expire_after))
    last: dict[int, int] = {}
    for number, step in enumerate(steps):
        trained(table, *step)
        last |= {key: number for key in step if key}
        last = {key: at for key, at in last.items() if at >= number + 1 - expire_after}
        assert set(table.state_dict(with_optimizer=False)["keys"].tolist()) == set(last)


def test_time_may_be_that_of_the_events() -> None:
    hour_ms = 3_600_000
    table = DynamicEmbedding(1, 0.1, lifetime=Lifetime(expire_after=2 * hour_ms))
    table.step(now=100 * hour_ms)
    trained(table, 1, now=101 * hour_ms)
    trained(table, 2, now=102 * hour_ms)
    assert has_row(table, 1) and has_row(table, 2)
    trained(table, 3, now=103 * hour_ms - 1)
    assert not has_row(table, 1) and has_row(table, 2)  # 1 was read when it was 100 h
    trained(table, 4, now=50 * hour_ms)  # time does not run backwards
    assert table.now == 103 * hour_ms - 1 and has_row(table, 2)


def test_a_stream_of_ever_new_keys_needs_no_more_memory_than_its_living_keys() -> None:
    table = DynamicEmbedding(8, 0.1, lifetime=Lifetime(expire_after=32))
    sizes = []
    for step in range(300):
        trained(table, *range(1 + 100 * step, 101 + 100 * step))
        sizes.append(table.num_bytes)
    assert len(table) <= 34 * 100
    assert max(sizes[200:]) == max(sizes[60:200])


def test_a_row_that_is_used_again_begins_anew() -> None:
    table = DynamicEmbedding(2, learning_rate=0.5)
    trained(table, 1, 2)
    assert table.erase(torch.tensor([1, 0, 77])) == 1 and len(table) == 1
    assert not table.read(torch.tensor([1])).any()
    size = table.num_bytes
    trained(table, 9)
    assert table.num_bytes <= size
    assert torch.equal(table.read(torch.tensor([9])), table.read(torch.tensor([2])))


def test_an_unseen_key_reads_what_its_content_says() -> None:
    table, content = DynamicEmbedding(2, 0.1, lifetime=Lifetime(admit_after=2)), nn.Linear(3, 2)
    keys_N, content_NF = torch.tensor([5, 0, 6]), torch.randn(3, 3)
    start_ND = content(content_NF)
    wanted_ND = start_ND * torch.tensor([[1.0], [0.0], [1.0]])  # key 0 is no key
    assert torch.equal(table.read(keys_N, start_ND), wanted_ND)
    assert torch.equal(table.train(keys_N, start_ND), wanted_ND)
    assert not table.read(keys_N).any() and len(table) == 0


def test_a_row_begins_with_what_content_says_then_goes_its_own_way() -> None:
    table = DynamicEmbedding(2, learning_rate=0.5)
    keys_N, start_ND = torch.tensor([5, 6, 5]), torch.tensor([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]])
    assert torch.equal(table.train(keys_N, start_ND), start_ND)
    table.step()
    assert torch.equal(table.read(keys_N), start_ND)
    assert torch.equal(table.read(keys_N, torch.full((3, 2), 9.0)), start_ND)
    assert torch.equal(table.train(keys_N, torch.full((3, 2), 9.0)), start_ND)


@pytest.mark.parametrize("admit_after", [1, 3])
def test_new_keys_teach_the_map_from_content_and_known_ones_do_not(admit_after: int) -> None:
    table = DynamicEmbedding(2, 0.5, lifetime=Lifetime(admit_after=admit_after))
    trained(table, 6, 6, 6)
    start_ND = torch.ones(3, 2, requires_grad=True)
    gradient_ND = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    read_ND = table.train(torch.tensor([5, 6, 0]), start_ND)
    (read_ND * gradient_ND).sum().backward()  # type: ignore[no-untyped-call]
    assert start_ND.grad is not None
    assert start_ND.grad.tolist() == [[1.0, 2.0], [0.0, 0.0], [0.0, 0.0]]
    table.step()
    assert has_row(table, 5) == (admit_after == 1)
    assert (table.read(torch.tensor([5])) < 1).all()  # zeros, or one step down from its start


def test_content_of_keys_of_any_shape() -> None:
    table = DynamicEmbedding(2, 0.1)
    start_ND = torch.randn(2, 3, 2)
    assert torch.equal(table.read(torch.arange(1, 7).view(2, 3), start_ND), start_ND)
    assert torch.equal(table.train(torch.arange(1, 7).view(2, 3), start_ND), start_ND)


def test_a_loaded_table_counts_and_expires_on() -> None:
    lifetime = Lifetime(admit_after=2, expire_after=3)
    table, loaded = (DynamicEmbedding(2, 0.1, lifetime=lifetime) for _ in range(2))
    trained(table, 1, 1, 2)
    trained(table, 3, 3)
    loaded.load_state_dict(table.state_dict(with_optimizer=True))
    for keys in ([2], [4], [3], [4]):
        trained(table, *keys)
        trained(loaded, *keys)
        one, other = table.state_dict(True), loaded.state_dict(True)
        assert sorted(one["keys"].tolist()) == sorted(other["keys"].tolist())
        assert torch.equal(*(t.read(torch.arange(5)) for t in (table, loaded)))
    assert has_row(loaded, 4) and not has_row(loaded, 1)


def read_all(table: DynamicEmbedding) -> Tensor:
    return table.read(torch.arange(200))


def test_a_table_that_applies_every_delta_stays_equal() -> None:
    table = DynamicEmbedding(2, 0.1, lifetime=Lifetime(admit_after=2, expire_after=4))
    random, follower = torch.Generator().manual_seed(0), DynamicEmbedding(2, 0.1)
    for _ in range(30):
        for _ in range(3):
            trained(table, *torch.randint(0, 200, (40,), generator=random).tolist())
        follower.apply_delta(table.take_delta())
        assert torch.equal(read_all(follower), read_all(table)) and len(follower) == len(table)


def test_a_delta_has_what_changed_and_no_more() -> None:
    table = DynamicEmbedding(2, 0.1)
    trained(table, 1, 2, 3)
    assert table.take_delta()["keys"].tolist() == [1, 2, 3]
    trained(table, 2, 0)
    table.erase(torch.tensor([3]))
    delta = table.take_delta()
    assert (delta["keys"].tolist(), delta["removed"].tolist()) == ([2], [3])
    assert torch.equal(delta["weight"], table.read(torch.tensor([2])))
    assert all(len(part) == 0 for part in table.take_delta().values())


@pytest.mark.parametrize("wrong", [{"admit_after": 0}, {"admit_after": 256}, {"expire_after": 0}])
def test_a_lifetime_that_cannot_be_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Lifetime(**wrong)
