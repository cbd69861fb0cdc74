"""The one snapshot of a catalogue's items, which whoever needs it first makes of the files."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from headrace.catalogue.files import ITEMS_FILE, each_item
from headrace.catalogue.table.snapshot import Place, open_snapshot, write_snapshot
from headrace.catalogue.table.table import ItemTable, table_of
from headrace.errors import DatasetError

SNAPSHOT_FILE: Final = "items.arrow"
_LOCK_FILE: Final = ".items.lock"

log = logging.getLogger(__name__)


def open_items(folder: Path) -> ItemTable:
    """The table of `open_catalogue`."""
    return open_catalogue(folder)[0]


def open_catalogue(folder: Path) -> tuple[ItemTable, Place]:
    """The table of the items that `write_catalogue` wrote into a folder, mapped, and its place.

    A snapshot that is missing, damaged or of other files is made anew, by one process at a time;
    where nothing can be written, each has a table of its own. Raises `DatasetError` where there is
    no catalogue.
    """
    opened = _opened(folder)
    if opened is not None:
        return opened
    if not os.access(folder, os.W_OK):
        return table_of(each_item(folder)), Place()
    with _alone(folder):
        opened = _opened(folder)  # somebody else may have made it meanwhile
        if opened is not None:
            return opened
        source = _source(folder)
        write_snapshot(table_of(each_item(folder)), folder / SNAPSHOT_FILE, Place(source=source))
    return open_snapshot(folder / SNAPSHOT_FILE)


def _opened(folder: Path) -> tuple[ItemTable, Place] | None:
    path = folder / SNAPSHOT_FILE
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
