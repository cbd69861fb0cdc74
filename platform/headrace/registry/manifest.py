"""The manifest of a published version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from headrace.errors import ConfigError
from headrace.model.config import RankerConfig

Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest: the metadata of a published version, with the URI and hash of its weights."""

    version: Count  # 0 before it has one
    uri: str
    sha256: str
    created_ms: Count
    schema: Count  # of the inputs that it reads
    model: RankerConfig
    num_samples: Count  # impressions it has trained on
    newest_event_ms: Count  # event time of the newest of them
    # The vector tables that it reads, by encoder and version; the name in the log is an older one.
    vector_tables: tuple[str, ...] = msgspec.field(default=(), name="token_tables")
    arrivals_ms: tuple[Count, ...] = ()  # when some of those new in this version reached the broker


def check_vectors(manifest: Manifest, vector_tables: Sequence[str]) -> None:
    """Raises `ConfigError` unless the model reads exactly these vector tables, in this order."""
    if manifest.vector_tables != tuple(vector_tables):
        raise ConfigError(
            f"model {manifest.version} was trained with the vector tables "
            f"{', '.join(manifest.vector_tables) or 'none'}, the settings name "
            f"{', '.join(vector_tables) or 'none'}: set HEADRACE_VECTOR_TABLES or --vectors to the "
            "former, or train in another namespace"
        )
