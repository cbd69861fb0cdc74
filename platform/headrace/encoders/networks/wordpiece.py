"""WordPiece, as uncased BERT models use it: words, then the longest pieces that the vocabulary has.

Chinese and Japanese characters are words of their own. Accents are dropped with the case.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

MAX_WORD: Final = 100  # characters; a longer word is unknown
CJK: Final = (
    *((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F)),
    *((0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)),
)
ASCII_SYMBOLS: Final = frozenset("$+<=>^`|~")  # punctuation to BERT, though not to Unicode


class WordPiece:
    """Text as token ids; `vocabulary[id]` is a piece, "##" marks one inside a word."""

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self._ids = {piece: number for number, piece in enumerate(vocabulary)}
        self._first, self._last = self._ids["[CLS]"], self._ids["[SEP]"]
        self._unknown = self._ids["[UNK]"]

    def ids(self, text: str, max_tokens: int) -> list[int]:
        """The ids of the text between its start and end marks, `max_tokens` at most."""
        pieces: list[int] = []
        for word in _words(text):
            pieces += self._pieces(word)
            if len(pieces) >= max_tokens - 2:
                break
        return [self._first, *pieces[: max_tokens - 2], self._last]

    def _pieces(self, word: str) -> list[int]:
        if len(word) > MAX_WORD:
            return [self._unknown]
        found: list[int] = []
        start = 0
        while start < len(word):
            prefix = "##" if start else ""
            for end in range(len(word), start, -1):
                piece = self._ids.get(prefix + word[start:end])
                if piece is not None:
                    break
            else:
                return [self._unknown]
            found.append(piece)
            start = end
        return found


def _words(text: str) -> Iterator[str]:
    """Runs of letters and digits; punctuation and CJK characters one by one."""
    spread = "".join(map(_spread, text))
    plain = unicodedata.normalize("NFD", spread)
    kept = "".join(c for c in plain if unicodedata.category(c) != "Mn").lower()
    for chunk in kept.split():
        yield from "".join(f" {c} " if _is_punctuation(c) else c for c in chunk).split()


@lru_cache(maxsize=1 << 16)
def _spread(character: str) -> str:
    """The character, a space for white space, nothing for a control character."""
    if character in "\t\n\r" or unicodedata.category(character) == "Zs":
        return " "
    if character in "\0�" or unicodedata.category(character).startswith("C"):
        return ""
    code = ord(character)
    return f" {character} " if any(low <= code <= high for low, high in CJK) else character


@lru_cache(maxsize=1 << 16)
def _is_punctuation(character: str) -> bool:
    return character in ASCII_SYMBOLS or unicodedata.category(character).startswith("P")
