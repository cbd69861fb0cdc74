"""Paths: the folders under HEADRACE_HOME that several rooms know."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from headrace.config import Settings

FEATURE_ROWS: Final = "feature-rows"
DOCUMENTS: Final = "documents"


def offline_path(settings: Settings) -> Path:
    """The folder of the offline store."""
    return settings.home_path / "offline"


def documents_path(settings: Settings, kind: str) -> Path:
    """The folder of the history of items or users."""
    return offline_path(settings) / DOCUMENTS / kind


def rows_path(settings: Settings, entity: str) -> Path:
    """The folder of the feature rows of one kind of entity."""
    return offline_path(settings) / FEATURE_ROWS / entity


def indexes_path(settings: Settings) -> Path:
    """The folder of the sealed parts of indexes, which the replicas of a node map."""
    return settings.home_path / "indexes"
