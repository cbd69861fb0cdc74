"""Keys go where Kafka's own partitioner puts them, one at a time and many at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.broker.partitioner import partition_of, partitions_of

NUM_PARTITIONS = 7
JAVAS = {  # from the tests of Kafka's `Utils.murmur2`
    "21": -973932308,
    "foobar": -790332482,
    "a-little-bit-long-string": -985981536,
    "a-little-bit-longer-string": -1486304829,
    "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    "abc": 479470107,
}


@given(st.lists(st.binary(max_size=40)))
def test_many_keys_go_where_each_goes_alone(keys: list[bytes]) -> None:
    alone = [partition_of(key, NUM_PARTITIONS) for key in keys]
    assert partitions_of(keys, NUM_PARTITIONS).tolist() == alone


@pytest.mark.parametrize(("key", "hashed"), JAVAS.items())
def test_the_hash_is_that_of_kafkas_java(key: str, hashed: int) -> None:
    assert partition_of(key.encode(), 2**31) == hashed & 0x7FFFFFFF
