"""SentencePiece's unigram tokenizer: of all ways to cut a text, the one whose pieces score most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

SPACE: Final = "▁"  # begins each word, in place of the space before it; no piece has it inside
UNKNOWN_PENALTY: Final = 10.0  # an unknown character scores this much below the worst piece


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The published vocabulary of a unigram tokenizer: pieces, normalisation and special ids."""

    pieces: Mapping[str, tuple[int, float]]  # piece -> id and log-probability
    replacements: Mapping[int, str]  # by code point: how a text is normalised
    first: int
    last: int
    unknown: int


class Unigram:
    """Text as token ids."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._longest = max(map(len, vocabulary.pieces))
        worst = min(score for _, score in vocabulary.pieces.values())
        self._unknown = (vocabulary.unknown, worst - UNKNOWN_PENALTY)
        self._cut = lru_cache(maxsize=1 << 16)(self._best_cut)

    def ids(self, text: str, max_tokens: int) -> list[int]:
        """The ids of the text between its start and end marks, `max_tokens` at most."""
        found: list[int] = []
        for word in text.translate(self._vocabulary.replacements).split():
            found += self._cut(SPACE + word)
            if len(found) >= max_tokens - 2:
                break
        return [self._vocabulary.first, *found[: max_tokens - 2], self._vocabulary.last]

    def _best_cut(self, word: str) -> list[int]:
        """Viterbi: the best cut of each prefix is the best of a shorter one and one more piece."""
        pieces = self._vocabulary.pieces
        best = [(0.0, 0, 0)]  # of each prefix: score, where its last piece begins, that piece's id
        for end in range(1, len(word) + 1):
            number, score = self._unknown
            choices = [(best[end - 1][0] + score, end - 1, number)]
            for start in range(max(0, end - self._longest), end):
                if (piece := pieces.get(word[start:end])) is not None:
                    choices.append((best[start][0] + piece[1], start, piece[0]))
            best.append(max(choices))
        cut: list[int] = []
        end = len(word)
        while end:
            _, end, number = best[end]
            cut.append(number)
        return cut[::-1]
