"""Segments: users who share an attribute, and requests that share a word of their context.

The items that a segment clicks are counted in rows beside those of the surfaces, which go by bytes:
segments go by the numbers behind these. Attributes share 1,024 numbers, two of five one with
probability .01; each field of a context has 256.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from headrace.events.declared import NUM_WORD_CODES
from headrace.keys import NUM_SURFACE_CODES

NUM_ATTRIBUTE_CODES: Final = 1_024
MOST_ATTRIBUTES: Final = 8  # of a user, the first that he has
_CONTEXT: Final = NUM_SURFACE_CODES + NUM_ATTRIBUTE_CODES  # the first number of a context's word


def segments_of(word_keys: Sequence[int], word_codes: Sequence[int]) -> list[int]:
    """The segments of a user with these attributes, and of a context with these words."""
    attributes = [
        NUM_SURFACE_CODES + word_key % NUM_ATTRIBUTE_CODES
        for word_key in word_keys[:MOST_ATTRIBUTES]
    ]
    words = [
        _CONTEXT + field * NUM_WORD_CODES + code for field, code in enumerate(word_codes) if code
    ]
    return [*dict.fromkeys(attributes), *words]
