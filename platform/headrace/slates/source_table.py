"""The sources by name: the modules of `headrace.retrieval`, each with a function `source`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from headrace.pipeline.sources import Quota
from headrace.pipeline.stage import Source


def source_of(name: str) -> Source:
    """The source of this name, one of `headrace.application.sources.NAMES`."""
    source: Source = import_module(f"headrace.retrieval.{name}").source()
    assert source.name == name, f"{name}: its source is named {source.name}"
    return source


def quotas_of(shares: Mapping[str, float]) -> tuple[Quota, ...]:
    """The sources of an application file with their quotas, in its order."""
    return tuple(Quota(source_of(name), share) for name, share in shares.items())
