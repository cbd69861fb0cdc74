"""The manifest: what it is called in the log stays, whatever its fields are called in the code."""

from __future__ import annotations

import msgspec

from headrace.features.schema import INPUT_SCHEMA
from headrace.model.config import nano
from headrace.registry.manifest import Manifest


def test_the_vector_tables_of_a_manifest_keep_their_first_name_in_the_log() -> None:
    manifest = Manifest(
        version=1,
        uri="file:///models/1",
        sha256="",
        created_ms=0,
        schema=INPUT_SCHEMA,
        model=nano(3),
        num_samples=0,
        newest_event_ms=0,
        vector_tables=("text_e5/1-f3b1a2c4",),
    )
    encoded = msgspec.json.encode(manifest)
    assert msgspec.json.decode(encoded)["token_tables"] == ["text_e5/1-f3b1a2c4"]
    assert msgspec.json.decode(encoded, type=Manifest) == manifest
