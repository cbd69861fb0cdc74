"""The section `seen`: whether a user is shown an item again, and when, on all surfaces or on one.

seen: {policy: after, after: 30d, surfaces: {search: {policy: always}}}
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import msgspec

from headrace.application.action import MONEY, Action
from headrace.application.reading import Duration, keys_of

AFTER: Final = "after"
AFTER_PURCHASE: Final = "after_purchase"
STRICT: Final = "strict"
SURFACES: Final = "surfaces"
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


def read_seen(
    section: object, actions: Sequence[Action], problems: list[str]
) -> tuple[SeenPolicy, Mapping[str, SeenPolicy]]:
    """The policy, and those of surfaces that have another; adds what is wrong."""
    others: dict[Any, Any] = {}
    if isinstance(section, dict):
        others = keys_of({SURFACES: dict[str, Any]}, {SURFACES: section.get(SURFACES)}, "seen",
                         problems).get(SURFACES, {})  # fmt: skip
        section = {name: value for name, value in section.items() if name != SURFACES}
    policy = _policy(section, "seen", actions, problems)
    of_surface = {
        name: _policy(told, f"seen.{SURFACES}.{name}", actions, problems)
        for name, told in others.items()
    }
    return policy, of_surface


def _policy(
    section: object, path: str, actions: Sequence[Action], problems: list[str]
) -> SeenPolicy:
    """When a seen item may come again: a second later, or more, and not never."""
    kinds = {"policy": PolicyName, AFTER: Duration, "strict": bool}
    before = len(problems)
    found = keys_of(kinds, section, path, problems)
    policy, after_s = found.get("policy", SeenPolicy().policy), found.get(AFTER, 0.0)
    if after_s and not 1 <= after_s < math.inf:
        problems.append(f"{path}.after: got {after_s:g} s, expected a second or more, and an end")
    if len(problems) == before and (policy == AFTER) != (after_s > 0):
        what = "missing, expected a duration such as 30d with" if policy == AFTER else "is for"
        problems.append(f"{path}.after: {what} the policy {AFTER}, got the policy {policy}")
    if policy == AFTER_PURCHASE and not any(row.value == MONEY for row in actions):
        problems.append(f"{path}.policy: after_purchase, but no action carries money")
    if len(problems) > before:
        return SeenPolicy()
    return SeenPolicy(policy, float(after_s), found.get("strict", False))
