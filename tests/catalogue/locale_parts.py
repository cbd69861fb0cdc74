"""Prints the rows that users of some countries are left with; a process of its own."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
MANY: Final = tuple(f"a{n}=1" for n in range(20))


def main() -> None:
    import numpy as np
    from request_path import request

    from headrace.application.current import APPLICATION
    from headrace.catalogue.item import Item
    from headrace.catalogue.place import Place
    from headrace.catalogue.table.snapshot import open_snapshot, write_snapshot
    from headrace.catalogue.table.table import table_of
    from headrace.pipeline.candidates import Candidates
    from headrace.pipeline.context import User
    from headrace.pipeline.filters.declared import allowed
    from headrace.pipeline.stage import Rules

    told = ((), ("country=NL",), ("country=BE", "country=NL"), (*MANY, "country=BE"), ("lang=fr",))
    table = table_of([Item(f"i{n}", attributes=one) for n, one in enumerate(told, 1)])
    path = Path(tempfile.mkdtemp()) / "items.arrow"
    write_snapshot(table, path, Place())
    left = []
    for user, context in (((), {}), (("country=NL",), {}), (("lang=fr",), {"country": "BE"})):
        asked: dict[str, Any] = {"user": User(words=user), "told": context}
        candidates = Candidates.of("trending", np.arange(1, 6))
        made = request(candidates=candidates, catalogue=open_snapshot(path)[0], **asked)
        Rules(*allowed(APPLICATION))(made)
        left.append(made.candidates.row_C.tolist())
    print(json.dumps(left))


sys.path[:0] = [str(ROOT / "platform"), str(ROOT), str(ROOT / "tests" / "pipeline")]
main()
