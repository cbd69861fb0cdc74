"""The report of a parity check: groups of comparisons, in tables and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from rich.table import Table

from headrace.features.checks.parity import EXACT, FLOAT, Agreement, Parity

AS_OF: Final = "as of"
LAGGING: Final = "as of, lagging"
UNKNOWN: Final = "as of, unknown"
SERVED: Final = "served"
NOT_JUDGED: Final = (LAGGING, UNKNOWN, SERVED)
WIDTH: Final = 100  # of the tables, also where there is no terminal
_ALLOWED: Final = {EXACT: "equal", FLOAT: "within 1e-6"}


def tables_of(parity: Parity) -> Iterator[Table]:
    """A table of each group."""
    for group, of_group in parity.groups.items():
        table = Table(title=group)
        for name in ("feature", "must be"):
            table.add_column(name, no_wrap=True)
        for name in ("compared", "mismatches", "missing", "extra", "SMAPE"):
            table.add_column(name, justify="right", no_wrap=True)
        for name, agreement in of_group.items():
            table.add_row(name, *_cells(group, agreement))
        yield table


def _cells(group: str, agreement: Agreement) -> Iterator[str]:
    yield "-" if group in NOT_JUDGED or agreement.is_sketch else _ALLOWED[agreement.kind]
    for count in (agreement.compared, agreement.mismatches, agreement.missing, agreement.extra):
        yield f"{count:,}"
    yield f"{agreement.smape:.1e}"


def document_of(parity: Parity, counts: Mapping[str, Any]) -> dict[str, Any]:
    """The agreement of each feature by group, and these counts, for programs."""
    return {
        "groups": {
            group: {
                name: {**msgspec.to_builtins(agreement), "smape": agreement.smape}
                for name, agreement in of_group.items()
            }
            for group, of_group in parity.groups.items()
        },
        **counts,
    }
