"""A spool: messages on disk that wait for the broker, in a bounded number of bytes.

Messages lie in segments, files that are only appended to. A segment is locked by whoever writes or
reads it and is deleted when all of it was sent; so several processes share a folder, one that died
leaves its segments to the others, and what it had sent in part is sent again. Whoever reads the
log tells copies by the ids in the messages.

    segment = record*     record = CRC-32 of the rest, its length, arrival in ms, length of the key,
                                   key, value
"""

from __future__ import annotations

import fcntl
import os
import secrets
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Final

from headrace.broker.log_sender import Message
from headrace.skipped import Skipped

SEGMENT_BYTES: Final = 2_000_000
SUFFIX: Final = ".spool"
_HEAD: Final = struct.Struct("<II")
_REST: Final = struct.Struct("<qI")


class Spool:
    """Messages in a folder of files that only their user can read. One thread uses it.

    `num_kept` and `num_dropped` count what `append` was given; `last_error` says why something
    was dropped, empty where nothing was of late.
    """

    def __init__(self, folder: Path, max_bytes: int, skipped: Skipped) -> None:
        self.num_kept = self.num_dropped = 0
        self.last_error = ""
        self._folder, self._max_bytes, self._skipped = folder, max_bytes, skipped
        self._writing: IO[bytes] | None = None

    def append(self, messages: Sequence[Message]) -> None:
        """Keep these on disk, which has them when this returns; drop those there is no room for."""
        records = [_record(message) for message in messages]
        room = self._max_bytes - self.num_bytes() if self._max_bytes else 0
        fitting: list[bytes] = []
        for record in records:
            room -= len(record)
            if room < 0:
                break
            fitting.append(record)
        self.last_error = "" if len(fitting) == len(records) else f"{self._folder} is full"
        try:
            self._write(b"".join(fitting))
        except OSError as error:  # a full disk, or none that can be written
            self.last_error, fitting = f"{self._folder}: {error.strerror}", []
            self._seal()
        self.num_kept += len(fitting)
        self.num_dropped += len(records) - len(fitting)

    def drain(self, send: Callable[[Sequence[Message]], None]) -> bool:
        """Hand the messages of the oldest segment that nobody holds to `send`, then delete it.

        False where there was none. Where `send` raises, the segment stays.
        """
        self._seal()
        for path in self._segments():
            with open(path, "rb") as file:
                if not _locked(file) or not os.fstat(file.fileno()).st_nlink:
                    continue
                send(list(self._messages(path.name, file)))
                path.unlink()
                return True
        return False

    def num_bytes(self) -> int:
        """The size of all segments, those of others too."""
        return sum(_size(path) for path in self._segments())

    def close(self) -> None:
        """Leave the segments to whoever comes next."""
        self._seal()

    def _segments(self) -> list[Path]:
        return sorted(self._folder.glob(f"*{SUFFIX}"))

    def _write(self, payload: bytes) -> None:
        if not payload:
            return
        if self._writing is None:
            self._writing = self._new_segment()
        self._writing.write(payload)
        self._writing.flush()
        os.fsync(self._writing.fileno())
        if self._writing.tell() >= SEGMENT_BYTES:
            self._seal()

    def _new_segment(self) -> IO[bytes]:
        """A segment whose name comes after all that are there, locked."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        newest = max((path.name for path in self._segments()), default="0")
        number = int(newest.partition("-")[0]) + 1
        path = self._folder / f"{number:012d}-{secrets.token_hex(4)}{SUFFIX}"
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND
        file = os.fdopen(os.open(path, flags, 0o600), "ab")
        _locked(file)
        return file

    def _seal(self) -> None:
        if self._writing is not None:
            self._writing.close()
            self._writing = None

    def _messages(self, name: str, file: IO[bytes]) -> Iterator[Message]:
        """The messages of a segment, up to where it is damaged: the rest was being written when its
        writer died."""
        while head := file.read(_HEAD.size):
            crc, length = _HEAD.unpack(head) if len(head) == _HEAD.size else (0, 0)
            rest = file.read(length)
            if len(rest) < max(length, _REST.size) or zlib.crc32(rest) != crc:
                where = f"{name} at byte {file.tell() - len(rest) - len(head)}"
                self._skipped.add("spool", "damaged", where)
                return
            arrival_ms, key_bytes = _REST.unpack_from(rest)
            start = _REST.size + key_bytes
            yield Message(rest[_REST.size : start], rest[start:], arrival_ms or None)


def _record(message: Message) -> bytes:
    rest = (
        _REST.pack(message.arrival_ms or 0, len(message.key)) + message.key + (message.value or b"")
    )
    return _HEAD.pack(zlib.crc32(rest), len(rest)) + rest


def _locked(file: IO[bytes]) -> bool:
    """Whether this process holds the file now; it does until the file is closed."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # another process has just sent it
        return 0
