"""The policy of seen items: whether a user is shown an item again, and when."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

AFTER: Final = "after"
AFTER_PURCHASE: Final = "after_purchase"
STRICT: Final = "strict"
PolicyName = Literal["never_again", "after", "after_purchase", "always"]


class SeenPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The items that a slate is made without.

    `never_again`: those that the user has seen, `after`: has seen in the last `after_s` seconds,
    `after_purchase`: has bought; `always`: none. What is left out for this comes back, last and
    marked, where a slate would be short; not if `strict`.
    """

    policy: PolicyName = "never_again"
    after_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0  # of `after`
    strict: bool = False

    def __post_init__(self) -> None:
        if (self.policy == AFTER) != (self.after_s > 0):
            raise ValueError("a time above 0 belongs to after, and to no other policy: after:30d")

    @property
    def is_of_all_seen(self) -> bool:
        """Whether it is about all that was seen, and not only about what was bought."""
        return self.policy in ("never_again", AFTER)

    @property
    def text(self) -> str:
        """The policy as HEADRACE_SEEN spells it, such as after:2592000s:strict."""
        after = f":{round(self.after_s)}s" if self.after_s else ""
        return f"{self.policy}{after}{f':{STRICT}' if self.strict else ''}"
