"""The rows of a user's files that were left out: counted by file and reason, a few shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from headrace.catalogue.item import BadRow

MAX_EXAMPLES: Final = 5  # of a reason
Reason = tuple[str, str, str]  # file, column, kind
WHOLE_ROW: Final = "(row)"  # stands for the column where the row itself is broken


class Fault(ValueError):
    """Why a cell or row cannot be used; `kind` is the reason without the value that came."""

    def __init__(self, kind: str, reason: str = "") -> None:
        super().__init__(reason or kind)
        self.kind = kind


@dataclass(slots=True)
class BadRows:
    """Counts of bad rows. Memory goes by the number of reasons, not by that of rows."""

    by_file: Counter[str] = field(default_factory=Counter)
    by_reason: Counter[Reason] = field(default_factory=Counter)
    _examples: dict[Reason, list[BadRow]] = field(default_factory=dict)

    def add(self, file: str, line: int, column: str, fault: Fault) -> None:
        """Counts the row on this line, and keeps it where it is one of the first of its reason."""
        self.by_file[file] += 1
        self.by_reason[file, column, fault.kind] += 1
        shown = self._examples.setdefault((file, column, fault.kind), [])
        if len(shown) < MAX_EXAMPLES:
            shown.append(BadRow(file, line, column, str(fault)))

    def add_many(
        self,
        file: str,
        column: str,
        faults: Sequence[Fault],
        fault_N: NDArray[np.integer],
        line_N: NDArray[np.int64],
    ) -> None:
        """Counts N rows of a column; `fault_N` says which of the faults each has."""
        counts = np.bincount(fault_N, minlength=len(faults))
        for place in np.flatnonzero(counts).tolist():
            fault = faults[place]
            first = np.flatnonzero(fault_N == place)[:MAX_EXAMPLES]
            for line in line_N[first].tolist():
                self.add(file, line, column, fault)
            self.add_unseen(file, column, fault.kind, int(counts[place]) - len(first))

    def add_unseen(self, file: str, column: str, kind: str, number: int) -> None:
        """Counts further rows of a kind that has its examples."""
        self.by_file[file] += number
        self.by_reason[file, column, kind] += number

    def absorb(self, others: BadRows, without: Container[str]) -> None:
        """Adds what others counted, but for these files."""
        for file, number in others.by_file.items():
            if file not in without:
                self.by_file[file] += number
        for reason, number in others.by_reason.items():
            if reason[0] not in without:
                self.by_reason[reason] += number
                self._examples[reason] = others._examples[reason]

    def reasons(self) -> dict[str, int]:
        """How many rows are bad for each reason, "column: kind"; the most frequent first."""
        counts: Counter[str] = Counter()
        for (_, column, kind), number in self.by_reason.items():
            counts[f"{column}: {kind}"] += number
        return dict(counts.most_common())

    def examples(self) -> tuple[BadRow, ...]:
        """The rows that were kept, file by file in the order of their lines."""
        place = {file: number for number, file in enumerate(self.by_file)}
        kept = [row for rows in self._examples.values() for row in rows]
        return tuple(sorted(kept, key=lambda row: (place[row.file], row.line)))
