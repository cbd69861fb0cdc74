"""The options of `headrace up`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from headrace.catalogue.item import Dataset


@dataclass(frozen=True, kw_only=True)
class UpOptions:
    """The options of `headrace up`."""

    dataset: Dataset
    data_arguments: tuple[str, ...]  # the flags that name it
    events_per_s: float | None  # None: the whole log in about three minutes
    shift_to_now: bool
    once: bool
    report: Path | None
    requests_per_s: float
    namespace: str | None
    archive: bool = False
