"""Places: how far a copy of the catalogue has followed the topic of its items."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Place:
    """Positions in a topic, by partition the first offset that is not in the copy; the identity of
    that log; and the state of the file that the copy was made from."""

    offsets: Mapping[int, int] = field(default_factory=dict)
    source: str = ""
    log: str = ""

    def text(self) -> str:
        """Positions and log as text."""
        offsets = {str(partition): offset for partition, offset in self.offsets.items()}
        return json.dumps({"log": self.log, "offsets": offsets})

    @classmethod
    def parsed(cls, text: str, source: str = "") -> Place:
        """The place of such a text."""
        found = json.loads(text)
        offsets = {int(partition): offset for partition, offset in found["offsets"].items()}
        return cls(offsets, source, found["log"])

    def is_ahead_of(self, other: Place) -> bool:
        """Whether this copy has followed the same log further than the other one."""
        return self.log == other.log and any(
            offset > other.offsets.get(partition, 0) for partition, offset in self.offsets.items()
        )
