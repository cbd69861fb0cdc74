"""Given vectors are taken as they are, or not at all."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.encoders import registry
from headrace.encoders.encoder import Setup
from headrace.errors import ConfigError

FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.lists(st.lists(FINITE, min_size=3, max_size=3), max_size=5))
def test_vectors_come_out_as_they_came_in(vectors: list[list[float]]) -> None:
    encoded = registry.load("given_vector", Setup(vector_width=3)).encode(vectors)
    assert encoded.vector_ND.shape == (len(vectors), 3) and encoded.mask_N.all()
    assert encoded.vector_ND.tolist() == vectors


def test_a_vector_of_another_width_or_with_a_gap_is_masked_with_the_reason() -> None:
    encoder = registry.load("given_vector", Setup(vector_width=3))
    encoded = encoder.encode([(1, 2), None, (1, 2, 3), (1, math.nan, 3), (), (0, 0, 1e39)])
    assert encoded.mask_N.tolist() == [False, False, True, False, False, False]
    assert encoded.problems[0] == "expected 3 numbers, got 2"
    assert "number 2 is missing" in encoded.problems[3]
    assert sorted(encoded.problems) == [0, 3, 4, 5]
    assert np.isfinite(encoded.vector_ND).all() and not encoded.vector_ND[~encoded.mask_N].any()


def test_the_width_is_part_of_the_version() -> None:
    versions = {registry.load("given_vector", Setup(vector_width=w)).version for w in (3, 7)}
    assert versions == {"1-3d", "1-7d"}


def test_an_unknown_encoder_is_refused_with_the_names_of_all() -> None:
    with pytest.raises(ConfigError) as caught:
        registry.load("text_bert")
    assert str(caught.value) == (
        "no encoder 'text_bert'; known: given_vector, image_efficientnet, text_e5, text_minilm, "
        + ", ".join(registry.TRAINED)
    )


@pytest.mark.parametrize("name", ["encoder", "registry", "networks", "", "os"])
def test_what_is_no_encoder_is_not_loaded_as_one(name: str) -> None:
    with pytest.raises(ConfigError, match="no encoder"):
        registry.load(name)
