"""Places: how far a copy of the catalogue has followed the topic of its items."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Place:
    """Positions in a topic, by partition the first offset that is not in the copy; the identity of
    that log; the state of the file that the copy was made from; and when the copy was as the topic
    was."""

    offsets: Mapping[int, int] = field(default_factory=dict)
    source: str = ""
    log: str = ""
    as_of_ms: int = 0

    def text(self) -> str:
        """Positions, log and moment as text."""
        offsets = {str(partition): offset for partition, offset in self.offsets.items()}
        told = {"log": self.log, "offsets": offsets, "as_of_ms": self.as_of_ms}
        return json.dumps(told)

    @classmethod
    def parsed(cls, text: str, source: str = "") -> Place:
        """The place of such a text."""
        found = json.loads(text)
        offsets = {int(partition): offset for partition, offset in found["offsets"].items()}
        return cls(offsets, source, found["log"], found["as_of_ms"])

    def is_ahead_of(self, other: Place) -> bool:
        """Whether this copy has followed the same log further than the other one."""
        return self.log == other.log and any(
            offset > other.offsets.get(partition, 0) for partition, offset in self.offsets.items()
        )
