"""Versions as files under the registry's URI: the weights of the newest, and the index of all.

    NAMESPACE-00000007.pt      weights of version 7
    NAMESPACE.versions.json    the index

A file is there whole or not at all: it is written as `….part` and then gets its name.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec
from pyarrow import fs

from headrace.config import Settings
from headrace.errors import ServiceError
from headrace.features.schema import INPUT_SCHEMA
from headrace.registry.manifest import Count, Manifest
from headrace.skipped import shortened

KEEP_VERSIONS: Final = 20  # whose weights are kept, and whose manifests are in index and topic

Ranges = tuple[tuple[Count, Count], ...]  # the first and the last of numbers without a gap


class VersionIndex(msgspec.Struct, frozen=True):
    """The versions of a namespace: the numbers of all, and the manifests of those that are kept.

    Manifests are decoded one by one, so that one of another build spoils no others.
    """

    published: Ranges = ()
    kept: dict[Count, msgspec.Raw] = {}

    @property
    def newest(self) -> int:
        """The highest number that was published, 0 before the first."""
        return self.published[-1][1] if self.published else 0

    def with_version(self, manifest: Manifest) -> VersionIndex:
        """The index with one version more, and without those that are kept no longer."""
        kept = {**self.kept, manifest.version: msgspec.Raw(msgspec.json.encode(manifest))}
        newest = sorted(kept)[-KEEP_VERSIONS:]
        published = with_number(self.published, manifest.version)
        return VersionIndex(published, {version: kept[version] for version in newest})


class VersionFiles:
    """The files of one namespace."""

    def __init__(self, settings: Settings) -> None:
        self._uri, self._namespace = settings.model_registry_uri, settings.namespace
        self._files, self._folder = fs.FileSystem.from_uri(self._uri)
        self._index = f"{self._folder}/{self._namespace}.versions.json"

    def create_folder(self) -> None:
        """Create the folder unless it is there."""
        self._files.create_dir(self._folder, recursive=True)

    def read_index(self) -> VersionIndex | None:
        """The index, None where there is none yet; raises `ServiceError` for a damaged one."""
        try:
            with self._files.open_input_stream(self._index) as file:
                return msgspec.json.decode(file.read(), type=VersionIndex)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            told = f"the index of versions {self._index} cannot be read: {shortened(error)}"
            raise ServiceError(told) from error

    def write_index(self, index: VersionIndex) -> None:
        """Put this index into the place of the one that was there."""
        self._write(self._index, msgspec.json.encode(index))

    def write_weights(self, version: int, content: bytes) -> str:
        """Store the weights of a version; returns their URI."""
        self._write(self._path(version), content)
        return f"{self._uri}/{self._name(version)}"

    def remove_weights(self, version: int) -> None:
        """Delete the weights of a version, if they are there."""
        with suppress(FileNotFoundError):
            self._files.delete_file(self._path(version))

    def remove_parts(self) -> None:
        """Delete the files that somebody who ended has left half written."""
        names = re.compile(rf"{re.escape(self._namespace)}(-\d+\.pt|\.versions\.json)\.part")
        for info in self._listed():
            if names.fullmatch(info.base_name):
                self._files.delete_file(info.path)

    def remove_weights_but(self, kept: Collection[int]) -> None:
        """Delete the weights of all versions but these."""
        names = re.compile(rf"{re.escape(self._namespace)}-(\d+)\.pt")
        for info in self._listed():
            found = names.fullmatch(info.base_name)
            if found and int(found[1]) not in kept:
                self._files.delete_file(info.path)

    def _listed(self) -> list[fs.FileInfo]:
        return list(self._files.get_file_info(fs.FileSelector(self._folder, allow_not_found=True)))

    def _name(self, version: int) -> str:
        return f"{self._namespace}-{version:08d}.pt"

    def _path(self, version: int) -> str:
        return f"{self._folder}/{self._name(version)}"

    def _write(self, path: str, content: bytes) -> None:
        """A full disk keeps no half of it."""
        part = f"{path}.part"
        try:
            with self._files.open_output_stream(part) as file:
                file.write(content)
        except OSError:
            with suppress(OSError):
                self._files.delete_file(part)
            raise
        self._files.move(part, path)


def with_number(ranges: Ranges, number: int) -> Ranges:
    """The ranges with one number more, those that touch as one."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted([*ranges, (number, number)]):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return tuple(joined)


def ranges_text(ranges: Sequence[tuple[int, int]], most: int = 3) -> str:
    """The newest of the ranges for a person, such as "1 to 7, 9 to 30"."""
    shown = [f"{first} to {last}" for first, last in ranges[-most:]]
    return ", ".join([*(["..."] if len(ranges) > most else []), *shown]) or "none yet"


def has_weights(manifest: Manifest) -> bool:
    """Whether the weights of a version are there; one whose place does not answer may have them."""
    try:
        files, path = fs.FileSystem.from_uri(manifest.uri)
        return bool(files.get_file_info(path).type == fs.FileType.File)
    except ValueError:
        return False
    except OSError:
        return True


def load_weights(manifest: Manifest) -> dict[str, Any]:
    """The weights of a version; raises `ServiceError` if they are damaged or do not fit."""
    if manifest.schema != INPUT_SCHEMA:
        raise ServiceError(
            f"model {manifest.version} reads the input schema {manifest.schema:08x}, this build "
            f"has {INPUT_SCHEMA:08x}: `headrace train` of this build publishes one that fits; the "
            "build that trained this one serves it"
        )
    try:
        files, path = fs.FileSystem.from_uri(manifest.uri)
        with files.open_input_stream(path) as file:
            payload = file.read()
    except (OSError, ValueError) as error:
        raise ServiceError(f"model {manifest.version} cannot be read: {error}") from error
    digest = hashlib.sha256(payload).hexdigest()
    if digest != manifest.sha256:
        raise ServiceError(
            f"{manifest.uri} has sha256 {digest}, its manifest says {manifest.sha256}"
        )
    import torch  # seconds: whoever only looks for versions needs none of it

    try:
        weights: dict[str, Any] = torch.load(io.BytesIO(payload), weights_only=True)
    except Exception as error:  # whatever unpickling leads to; the file is as its manifest says
        raise ServiceError(f"{manifest.uri} holds no weights: {shortened(error)}") from error
    return weights
