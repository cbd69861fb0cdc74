"""The content of compressed batches: every codec that Kafka has, and no more of it than a bound.

A batch of a megabyte may hold gigabytes; a broker takes it, as it never has all of it at once.
"""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any, Final

import lz4.frame
import snappy
import zstandard

MAX_BYTES: Final = 64_000_000
CHUNK_BYTES: Final = 1_000_000

_JAVAS_SNAPPY: Final = b"\x82SNAPPY\x00"
_JAVAS_HEADER_BYTES: Final = 16


def uncompressed(codec: int, data: bytes) -> bytes:
    """The data, decompressed by the codec of this number; raises `ValueError` naming the codec."""
    name, read = CODECS.get(codec, (f"number {codec}", _unknown))
    parts, size = [], 0
    try:
        for part in read(data):
            parts.append(part)
            size += len(part)
            if size > MAX_BYTES:
                raise ValueError(f"it holds more than {MAX_BYTES} bytes")
    except Exception as error:  # each library has errors of its own for what is damaged
        raise ValueError(f"its codec, {name}, cannot read it: {error}") from error
    return b"".join(parts)


def _in_chunks(file: Any) -> Iterator[bytes]:
    while part := file.read(CHUNK_BYTES):
        yield part


def _gzip(data: bytes) -> Iterator[bytes]:
    return _in_chunks(gzip.GzipFile(fileobj=BytesIO(data)))


def _lz4(data: bytes) -> Iterator[bytes]:
    return _in_chunks(lz4.frame.LZ4FrameFile(BytesIO(data)))


def _zstd(data: bytes) -> Iterator[bytes]:
    return _in_chunks(zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True))


def _snappy(data: bytes) -> Iterator[bytes]:
    """One block, or as Java's library has it: blocks behind a header, each after its length."""
    if not data.startswith(_JAVAS_SNAPPY):
        yield _snappy_block(data)
        return
    position = _JAVAS_HEADER_BYTES
    while position < len(data):
        (length,) = struct.unpack_from(">i", data, position)
        position += 4
        yield _snappy_block(data[position : position + length])
        position += max(length, 0)


def _snappy_block(data: bytes) -> bytes:
    """A block says first, in a varint, how much it holds."""
    length, shift = 0, 0
    for byte in data[:5]:
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    if length > MAX_BYTES:
        raise ValueError(f"a block says that it holds {length} bytes")
    block: bytes = snappy.uncompress(data)
    return block


def _unknown(data: bytes) -> Iterator[bytes]:
    raise ValueError("Kafka had no such codec when headrace was built")


CODECS: Final[dict[int, tuple[str, Callable[[bytes], Iterator[bytes]]]]] = {
    1: ("gzip", _gzip),
    2: ("snappy", _snappy),
    3: ("lz4", _lz4),
    4: ("zstd", _zstd),
}
