"""Locations: the files that documents name, below one folder or on hosts that settings name.

Whoever may write items names files. So that nobody has the platform read its own disk or the
network around it, nothing is read but what the settings allow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from headrace.catalogue.content import FILES, MODALITIES, Modality, Value, value_hash
from headrace.catalogue.item import Content
from headrace.documents.document import ItemDocument
from headrace.documents.items import item_of


class NotAllowed(ValueError):
    """A location that the settings do not allow."""


@dataclass(frozen=True, slots=True)
class Locations:
    """What locations may be: paths below `folder`, and addresses on `hosts`."""

    folder: Path | None = None
    hosts: Sequence[str] = ()

    def found(self, location: str) -> Path | str:
        """The path, or the address, of a location; raises `NotAllowed`."""
        if urlsplit(location).scheme in ("http", "https"):
            host = urlsplit(location).netloc.lower()
            if host not in {one.lower() for one in self.hosts}:
                raise NotAllowed(f"host {host!r} is not in HEADRACE_CONTENT_HOSTS")
            return location
        if self.folder is None:
            raise NotAllowed("a path, and HEADRACE_CONTENT_FOLDER names no folder")
        path = (self.folder / location).resolve()
        if not path.is_relative_to(self.folder.resolve()):
            raise NotAllowed(f"{location!r} lies outside of HEADRACE_CONTENT_FOLDER")
        return path

    def hash_of(self, document: ItemDocument, modality: Modality) -> int | None:
        """The hash of a document's value of a modality, None where it has none."""
        location = located(document, modality)
        if location is not None:
            try:
                return value_hash(self.found(location))
            except NotAllowed:
                return value_hash(location)  # it is told when the item's turn comes
        value = value_of(document, modality, {})
        return None if value is None else value_hash(value)


def located(document: ItemDocument, modality: Modality) -> str | None:
    """The location of a document's file of a modality, None where it names none."""
    location: str | None = getattr(document, modality) if modality in FILES else None
    return location


def value_of(document: ItemDocument, modality: Modality, files: Mapping[Modality, Path]) -> Value:
    """The value of a document's modality, as encoders take it; `files` are where its files lie."""
    content = Content(document.item_id, document.description, document.vector, files)
    return MODALITIES[modality].take(item_of(document), content, modality)
