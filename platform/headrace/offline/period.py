"""A period of event times, as commands name it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Period:
    """Event times from `from_ms` up to, not including, `to_ms`; None is open."""

    from_ms: int | None = None
    to_ms: int | None = None
