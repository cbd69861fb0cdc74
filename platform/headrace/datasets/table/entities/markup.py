"""The text of HTML: what a reader of the page would see."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from typing import Final

MARKUP: Final = re.compile(r"<[a-zA-Z/!]|&[#\w]+;")
SILENT: Final = ("script", "style", "head", "template")
SPACES: Final = re.compile(r"\s+")


def plain(text: str) -> str:
    """The text without tags, comments and scripts, and with entities as characters."""
    if not MARKUP.search(text):
        return text
    reader = _Reader()
    try:
        reader.feed(text)
        reader.close()
    except AssertionError:  # the parser's own, on declarations that are none
        return unescape(re.sub(r"<[^>]*>", " ", text)).strip()
    return SPACES.sub(" ", "".join(reader.parts)).strip()


class _Reader(HTMLParser):
    """Collects the text between tags; a tag separates words, as most of them do on a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in SILENT
        self.parts.append(" ")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.parts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self._silent = max(self._silent - (tag in SILENT), 0)
        self.parts.append(" ")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data)
