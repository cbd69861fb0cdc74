"""The bytes of a text file: decompressed, and transcoded to UTF-8 where they are something else."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from headrace.errors import DatasetError

BLOCK_BYTES: Final = 4 << 20


class Stream:
    """Reads of a text file. A byte that its encoding does not know stays as it is: not UTF-8."""

    def __init__(self, path: Path, encoding: str) -> None:
        self._path = path
        try:
            self._file = pa.input_stream(str(path), compression="detect", buffer_size=1 << 16)
            head = self._file.read(len(codecs.BOM_UTF8))
        except (OSError, pa.ArrowException) as error:
            raise unreadable(path, error) from None
        self.encoding = codecs.lookup(encoding).name
        is_utf8 = self.encoding in ("utf-8", "utf-8-sig", "ascii")
        self._head = head.removeprefix(codecs.BOM_UTF8) if is_utf8 else head
        self._decoder = (
            None if is_utf8 else codecs.getincrementaldecoder(encoding)("surrogateescape")
        )

    def read(self, size: int = BLOCK_BYTES) -> bytes:
        """About this many bytes more as UTF-8, none at the end of the file."""
        while True:
            try:
                raw, self._head = self._head + self._file.read(size), b""
            except (OSError, pa.ArrowException) as error:
                raise unreadable(self._path, error) from None
            text = raw if self._decoder is None else self._transcode(raw)
            if text or not raw:
                return text

    def _transcode(self, raw: bytes) -> bytes:
        decoder: Any = self._decoder
        try:
            decoded: str = decoder.decode(raw, final=not raw)
        except UnicodeDecodeError as error:
            reason = f"is not {self.encoding}: {error.reason}: say its encoding"
            raise DatasetError(f"{self._path}: {reason}") from None
        return decoded.encode("utf-8", "surrogateescape")

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def lines(path: Path, encoding: str) -> Iterator[bytes]:
    """Blocks of whole lines of a text file, as UTF-8."""
    rest = b""
    with Stream(path, encoding) as stream:
        while block := stream.read(max(BLOCK_BYTES, len(rest))):
            whole, newline, rest = (rest + block).rpartition(b"\n")
            if newline:
                yield whole + newline
    if rest:
        yield rest


def unreadable(path: Path, error: Exception) -> DatasetError:
    """The error of a file that cannot be read, in one line."""
    if isinstance(error, FileNotFoundError):
        return DatasetError(f"{path}: no such file")
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return DatasetError(f"{path}: cannot be read: {' '.join(reason.split())}")
