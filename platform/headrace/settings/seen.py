"""The policy of seen items: whether a user is shown an item again, and when."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

import msgspec

from headrace.action import BOUGHT
from headrace.errors import ConfigError

STRICT: Final = "strict"
PolicyName = Literal["never_again", "after", "after_purchase", "always"]
_TEXT: Final = re.compile(rf"(\w+?)(?::(\d+)([smhd]?))?(:{STRICT})?")
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}


class SeenPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The items that a slate is made without.

    `never_again`: those that the user has seen, `after`: has seen in the last `after_s` seconds,
    `after_purchase`: has bought; `always`: none. What is left out for this comes back, last and
    marked, where a slate would be short; not if `strict`.
    """

    policy: PolicyName = "never_again"
    after_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0  # of `after`
    strict: bool = False

    def __post_init__(self) -> None:
        if (self.policy == "after") != (self.after_s > 0):
            raise ValueError("a time above 0 belongs to after, and to no other policy: after:30d")
        if self.policy == "after_purchase" and not BOUGHT:
            raise ValueError("after_purchase: no action of the table says that an item was bought")

    @property
    def is_of_all_seen(self) -> bool:
        """Whether it is about all that was seen, and not only about what was bought."""
        return self.policy in ("never_again", "after")


def seen_policy(text: str) -> SeenPolicy:
    """The policy that a text such as `never_again`, `after:30d` or `after_purchase:strict` spells;
    raises `ConfigError` for one that spells none."""
    found = _TEXT.fullmatch(text)
    policy, number, unit, strict = found.groups() if found else (text, None, "", "")
    after_s = int(number or 0) * _SECONDS[unit or ""]
    given = {"policy": policy, "after_s": after_s, "strict": bool(strict)}
    try:
        return msgspec.convert(given, SeenPolicy)
    except msgspec.ValidationError as error:
        raise ConfigError(
            "expected never_again, after:30d (s, m, h or d), after_purchase or always, each with "
            f":{STRICT} behind it or not ({error})"
        ) from None
