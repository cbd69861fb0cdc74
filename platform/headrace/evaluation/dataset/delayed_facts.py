"""A partition with delayed facts: those of an event count a fixed time after it.

A log that tells an impression together with its outcome knows more than anybody did at the time.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from headrace.features.rows.merged import MergedState
from headrace.positions.commit import Commit
from headrace.stream.step.facts_of_step import Fact, StepFacts
from headrace.stream.step.intake import Decoded
from headrace.stream.step.partition import Effects, Partition, PartitionSettings
from headrace.stream.step.partition_rows import ChangedRows, PartitionRows

TIME: Final = 2  # places in a `Fact`
ORDINAL: Final = 8


@dataclass(frozen=True, slots=True)
class Delay:
    """How old facts are when they count; none counts that would do so after `last_ms`."""

    delay_ms: int
    last_ms: int | None = None


class DelayedPartition(Partition):
    """A partition whose requests are asked for at their times, while facts wait.

    Events must come in the order of time, and each step up to its `now_ms`.
    """

    def __init__(
        self,
        number: int,
        commit: Commit,
        merged: MergedState,
        settings: PartitionSettings,
        delay: Delay,
    ) -> None:
        super().__init__(number, commit, merged, settings)
        self._rows = self._delayed = DelayedRows(number, merged, delay)

    def process(self, decoded: Sequence[Decoded], now_ms: int) -> Effects:
        """As every partition does, with the facts that are old enough by `now_ms`."""
        self._delayed.now_ms = now_ms
        return super().process(decoded, now_ms)


class DelayedRows(PartitionRows):
    """Rows that take in facts once these are old enough; no user is forgotten.

    All facts wait equally long, so that they stay in the order of the log.
    """

    def __init__(self, partition: int, merged: MergedState, delay: Delay) -> None:
        super().__init__(partition, merged, sys.maxsize)
        self._delay, self._waiting = delay, deque[Fact]()
        self.now_ms = 0

    def apply(self, facts_of_step: StepFacts) -> ChangedRows:
        """Take in the facts that are old enough, in place of those of the step.

        An event sees those that are old enough at its time: they get the ordinal of the event
        before it.
        """
        self._waiting.extend(facts_of_step.facts)
        facts_of_step.facts = []
        while self._waiting and self._due_ms(self._waiting[0]) <= self.now_ms:
            fact = self._waiting.popleft()
            if self._delay.last_ms is None or self._due_ms(fact) <= self._delay.last_ms:
                ordinal = bisect_left(facts_of_step.times_ms, self._due_ms(fact))
                facts_of_step.facts.append((*fact[:ORDINAL], ordinal, *fact[ORDINAL + 1 :]))
        return super().apply(facts_of_step)

    def _due_ms(self, fact: Fact) -> int:
        due_ms: int = fact[TIME] + self._delay.delay_ms
        return due_ms
