"""Rows: states as bytes and back, and the table that they belong to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_facts import START_MS, Fact, columns

from headrace.errors import ServiceError
from headrace.features.aggregation.layout import Layout
from headrace.features.rows.state_row import blank_rows, decode_rows, encode_rows, row_dtype
from headrace.features.schema import STATE_SCHEMA
from headrace.features.table import CAMPAIGN_LAYOUT, ITEM_LAYOUT, LAYOUTS, USER_LAYOUT

layouts = pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.entity)


@settings(max_examples=40)
@given(layout=st.sampled_from(LAYOUTS), num=st.integers(0, 4), seed=st.integers(0, 2**32))
def test_rows_come_back_bit_for_bit(layout: Layout, num: int, seed: int) -> None:
    size = row_dtype(layout).itemsize
    bits = np.random.default_rng(seed).integers(0, 256, num * size, dtype=np.uint8)
    rows = np.frombuffer(bits.tobytes(), row_dtype(layout)).copy()
    rows["schema"] = STATE_SCHEMA
    payloads = encode_rows(rows)
    assert [len(payload) for payload in payloads] == [size] * num
    back = decode_rows(payloads, layout)
    assert back.dtype == rows.dtype and back.tobytes() == rows.tobytes()
    back["position"] = 5  # it can be changed


@layouts
def test_a_row_is_its_header_and_the_state_in_little_endian(layout: Layout) -> None:
    rows = blank_rows(layout, 1, partition=3)
    rows["position"], rows["event_time_ms"] = 7, START_MS
    (payload,) = encode_rows(rows)
    header = STATE_SCHEMA.to_bytes(4, "little") + (3).to_bytes(4, "little")
    header += (7).to_bytes(8, "little") + START_MS.to_bytes(8, "little")
    assert payload == header + layout.new(1).tobytes()


@layouts
def test_fresh_rows_include_no_event(layout: Layout) -> None:
    rows = blank_rows(layout, 2, partition=9)
    assert rows["position"].tolist() == [-1, -1] and rows["partition"].tolist() == [9, 9]
    assert rows["event_time_ms"].tolist() == [0, 0]
    assert rows["state"].tobytes() == layout.new(2).tobytes()


def test_rows_apart_in_memory_are_encoded_in_their_order() -> None:
    rows = blank_rows(CAMPAIGN_LAYOUT, 6)
    rows["position"] = np.arange(6)
    apart = encode_rows(rows[::-2])
    assert decode_rows(apart, CAMPAIGN_LAYOUT)["position"].tolist() == [5, 3, 1]


@layouts
def test_a_row_of_another_feature_table_is_refused(layout: Layout) -> None:
    good, payload = encode_rows(blank_rows(layout, 2))
    other = bytes([payload[0] ^ 1]) + payload[1:]
    with pytest.raises(ServiceError, match=f"{layout.entity} row has the state schema .*NAMESPACE"):
        decode_rows([good, other], layout)
    for size in (len(payload) + 8, len(payload) - 8, 3, 0):
        with pytest.raises(ServiceError, match="HEADRACE_NAMESPACE"):
            decode_rows([good, payload[:size].ljust(size, b"\0")], layout)


def test_the_rows_of_users_and_items_are_not_taken_for_each_other() -> None:
    with pytest.raises(ServiceError):
        decode_rows(encode_rows(blank_rows(USER_LAYOUT, 1)), ITEM_LAYOUT)


def test_keys_that_look_like_no_number_survive_in_a_history() -> None:
    keys = (0x7FF0_0000_0000_0001, 2**63 - 1, 5)  # the bits of a signalling NaN among them
    rows = blank_rows(USER_LAYOUT, 1)
    log = [Fact(item=item, time_ms=START_MS + place) for place, item in enumerate(keys)]
    USER_LAYOUT.add(rows["state"], columns(log))
    back = decode_rows(encode_rows(rows), USER_LAYOUT)
    history_4T = USER_LAYOUT.value("user_history", back["state"], np.array([START_MS]))[0]
    assert history_4T[0, :4].tolist() == [5, 2**63 - 1, 0x7FF0_0000_0000_0001, 0]
