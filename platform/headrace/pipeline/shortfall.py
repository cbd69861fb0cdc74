"""Shortfall: why a slate has items that were seen, or fewer items than were wanted."""

from __future__ import annotations

from headrace.pipeline.context import Context


def shortfall(context: Context) -> tuple[str, ...]:
    """The marks of what the filters of a finished request left: `seen_again`, `over_cap`, and of a
    slate that is short `all_<filter>` for each that removed something, or else `no_more_items`."""
    again = ("seen_again",) if context.seen_again else ()
    if context.over_cap and not context.outside(context.over_cap).all():
        again = (*again, "over_cap")
    if len(context.candidates) >= context.num_items:
        return again
    reasons = dict.fromkeys(f"all_{one.reason}" for one in context.candidates.removed)
    return (*again, *(reasons or ("no_more_items",)))
