"""The filters that every list of items has, and those that an application file declares."""

from __future__ import annotations

from headrace.application.condition import Not
from headrace.application.sections import Application
from headrace.pipeline.filters.availability import UNAVAILABLE
from headrace.pipeline.filters.conditions import Holds
from headrace.pipeline.filters.locale import Elsewhere
from headrace.pipeline.stage import Rule


def allowed(application: Application) -> tuple[Rule, ...]:
    """The filters of items that may be shown to a user at all: availability, age and locale, the
    blocked lists, and conditions."""
    locale = [Elsewhere(application.locale)] if application.locale else []
    blocked = [Holds("blocked", Not(application.blocked))] if application.blocked else []
    conditions = (Holds(name, one) for name, one in application.filters.items())
    return (*UNAVAILABLE, *locale, *blocked, *conditions)
