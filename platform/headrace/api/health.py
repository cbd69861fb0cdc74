"""The answers of health checks: liveness, readiness, and the report."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType


class Livez(msgspec.Struct, frozen=True):
    """The answer of a process that lives."""

    live: bool = True


class Readyz(msgspec.Struct, frozen=True):
    """The answer of a replica that is ready; all but `ready` to whom it concerns, each part "ok"
    or its error."""

    ready: bool = True
    model_version: int | UnsetType = UNSET
    following: str | UnsetType = UNSET  # of versions and item states
    store: str | UnsetType = UNSET
    log: str | UnsetType = UNSET
    impressions: str | UnsetType = UNSET
    status: str | UnsetType = UNSET
    keys: str | UnsetType = UNSET


class Healthz(msgspec.Struct, frozen=True):
    """The health report: namespace, model version, why newer ones are held, the current error."""

    namespace: str
    model_version: int  # 0: no model yet
    held: str  # why the trainer publishes nothing newer
    error: str  # empty when nothing is wrong
