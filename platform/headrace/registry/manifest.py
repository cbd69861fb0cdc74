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
    token_tables: tuple[str, ...] = ()  # of the content that it reads, by encoder and version
    arrivals_ms: tuple[Count, ...] = ()  # when some of those new in this version reached the broker


def check_tokens(manifest: Manifest, token_tables: Sequence[str]) -> None:
    """Raises `ConfigError` unless the model reads exactly these token tables, in this order."""
    if manifest.token_tables != tuple(token_tables):
        raise ConfigError(
            f"model {manifest.version} was trained with the token tables "
            f"{', '.join(manifest.token_tables) or 'none'}, the settings name "
            f"{', '.join(token_tables) or 'none'}: set HEADRACE_TOKEN_TABLES or --tokens to the "
            "former, or train in another namespace"
        )
