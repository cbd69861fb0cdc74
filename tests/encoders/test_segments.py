"""Texts cut into segments: English words, Chinese characters and pairs, without stop words."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.encoders.trained.image import MAX_MOVED, crop_and_flip
from headrace.encoders.trained.segments import (
    LENGTH,
    NUM_BUCKETS,
    PADDING,
    UNKNOWN,
    bucket,
    read_segments,
    segments,
)
from headrace.encoders.trained.text import forget_segments


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Red shoe's of 2012!", ["red", "shoe's", "2012"]),
        ("红色的鞋", ["红", "色", "鞋", "红色", "色的", "的鞋"]),
        ("Nike 跑鞋 42码", ["nike", "跑", "鞋", "跑鞋", "42", "码"]),
        ("ＡＢＣ１２３", ["abc123"]),
        ("to be or", ["to", "be", "or"]),
        ("snake_case", ["snake", "case"]),
        ("...", []),
    ],
)
def test_english_is_cut_into_words_and_chinese_into_characters_and_pairs(
    text: str, expected: list[str]
) -> None:
    assert segments(text) == expected


@given(st.text())
@settings(max_examples=50, deadline=None)
def test_any_text_is_places_or_a_value_error(text: str) -> None:
    try:
        place_L = read_segments(text)
    except ValueError as error:
        assert "expected a text" in str(error)
        return
    num = int((place_L != PADDING).sum())
    assert place_L.shape == (LENGTH,) and 0 < num and not place_L[num:].any()
    assert place_L[:num].min() > UNKNOWN and place_L.max() < NUM_BUCKETS


def test_a_segment_has_the_same_number_in_every_process() -> None:
    assert (bucket("red"), bucket("鞋")) == (1_697, 7_547)
    assert np.array_equal(read_segments("red 鞋")[:2], [bucket("red"), bucket("鞋")])


def test_forgotten_segments_are_unknown_and_padding_stays() -> None:
    place = torch.from_numpy(np.stack([read_segments(" ".join(map(str, range(20))))] * 50))
    forgotten = forget_segments(place, torch.Generator().manual_seed(0))
    assert (forgotten[:, 20:] == PADDING).all()
    changed = forgotten != place
    assert (forgotten[changed] == UNKNOWN).all() and 0.1 < changed[:, :20].float().mean() < 0.2


def test_a_varied_picture_is_the_same_one_moved_and_perhaps_mirrored() -> None:
    picture = torch.zeros(40, 1, 20, 20)
    picture[:, :, 10, 10] = 1
    at = crop_and_flip(picture, torch.Generator().manual_seed(0)).nonzero()[:, 2:]
    assert len(at) == 40 and (at[:, 0] - 10).abs().max() == MAX_MOVED
    assert len(set(map(tuple, at.tolist()))) > 20
