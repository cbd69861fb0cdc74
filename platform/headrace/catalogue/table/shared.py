"""The snapshots of a catalogue's items, made of the files by whoever needs them first."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from headrace.catalogue.files import ITEMS_FILE, each_item, read_place
from headrace.catalogue.place import Place
from headrace.catalogue.table.snapshot import open_snapshot, write_snapshot
from headrace.catalogue.table.table import ItemTable, table_of
from headrace.errors import DatasetError

SNAPSHOT_FILE: Final = "items.arrow"
_LOCK_FILE: Final = ".items.lock"

log = logging.getLogger(__name__)


def open_items(folder: Path) -> ItemTable:
    """The table of `open_catalogue`."""
    return open_catalogue(folder)[0]


def open_catalogue(folder: Path, namespace: str = "") -> tuple[ItemTable, Place]:
    """The table of the items that `write_catalogue` wrote into a folder, mapped, and its place.

    That which `keep` wrote of a namespace has followed its topic since. A snapshot that is missing,
    damaged or of other files is made anew, by one process at a time; where nothing can be written,
    each has a table of its own. Raises `DatasetError` where there is no catalogue.
    """
    opened = (_opened(folder, namespace) if namespace else None) or _opened(folder)
    if opened is not None:
        return opened
    if not os.access(folder, os.W_OK):
        return table_of(each_item(folder)), read_place(folder)
    with _alone(folder):
        opened = _opened(folder)  # somebody else may have made it meanwhile
        if opened is not None:
            return opened
        source, table = _source(folder), table_of(each_item(folder))
        place = replace(read_place(folder), source=source)
        write_snapshot(table, folder / SNAPSHOT_FILE, place)
    return open_snapshot(folder / SNAPSHOT_FILE)


def keep(folder: Path, namespace: str, table: ItemTable, place: Place) -> None:
    """Write a table that has followed a namespace's topic, for whoever starts next; not where
    others have followed it further, or another file of items lies there."""
    if not os.access(folder, os.W_OK):
        return
    with _alone(folder):
        kept = _opened(folder, namespace)
        if place.source == _source(folder) and not (kept and kept[1].is_ahead_of(place)):
            write_snapshot(table, folder / _file(namespace), place)


def _file(namespace: str) -> str:
    return f"items.{namespace}.arrow" if namespace else SNAPSHOT_FILE


def _opened(folder: Path, namespace: str = "") -> tuple[ItemTable, Place] | None:
    path = folder / _file(namespace)
    if not path.exists():
        return None
    try:
        table, place = open_snapshot(path)
    except DatasetError as error:
        log.warning("%s", error)
        return None
    return (table, place) if place.source == _source(folder) else None


def _source(folder: Path) -> str:
    """What changes when the items' file does."""
    try:
        state = (folder / ITEMS_FILE).stat()
    except OSError:
        return ""
    return f"{ITEMS_FILE} {state.st_size} {state.st_mtime_ns}"


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """While no other process makes this folder's snapshot."""
    lock = os.open(folder / _LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
