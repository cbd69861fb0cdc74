"""The policy of seen items, read from the text of its setting."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from headrace.action import BOUGHT
from headrace.application.seen import AFTER_PURCHASE, STRICT, SeenPolicy
from headrace.errors import ConfigError

_TEXT: Final = re.compile(rf"(\w+?)(?::(\d+)([smhd]?))?(:{STRICT})?")
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}


def seen_policy(text: str) -> SeenPolicy:
    """The policy that a text such as `never_again`, `after:30d` or `after_purchase:strict` spells;
    raises `ConfigError` for one that spells none, and for one that no action of the table serves.
    """
    found = _TEXT.fullmatch(text)
    policy, number, unit, strict = found.groups() if found else (text, None, "", "")
    after_s = int(number or 0) * _SECONDS[unit or ""]
    given = {"policy": policy, "after_s": after_s, "strict": bool(strict)}
    try:
        made = msgspec.convert(given, SeenPolicy)
    except msgspec.ValidationError as error:
        raise _refused(str(error)) from None
    if made.policy == AFTER_PURCHASE and not BOUGHT:
        raise _refused("after_purchase: no action of the table says that an item was bought")
    return made


def _refused(why: str) -> ConfigError:
    return ConfigError(
        "expected never_again, after:30d (s, m, h or d), after_purchase or always, each with "
        f":{STRICT} behind it or not ({why})"
    )
