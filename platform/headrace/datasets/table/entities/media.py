"""Where an item's picture, sound or film is: in its cell, or in a file that cells name."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from headrace.datasets.table.cells.cell import text

PATH: Final = re.compile(rb"[^\x00-\x1f]{1,400}\.\w{2,5}", re.IGNORECASE)


def medium(cell: Any, folder: Path) -> bytes | Path | None:
    """The content itself, or the path of its file, relative to `folder`; None where it is empty.

    A cell may have both, as Hugging Face writes them; the path is that of another machine then.
    """
    if isinstance(cell, Mapping):
        return medium(cell.get("bytes") or cell.get("path"), folder)
    if isinstance(cell, bytes) and not _is_path(cell):
        return cell or None
    name = text(cell).strip()
    return folder / name if name else None


def by_template(template: str, cells: Mapping[str, Any], folder: Path) -> Path | None:
    """The path that a template makes of cells; None where one of these is empty."""
    parts = []
    for literal, field, spec, _ in string.Formatter().parse(template):
        parts.append(literal)
        if field is not None:
            value = text(cells[field]).strip()
            if not value:
                return None
            parts.append(format(value, spec or ""))
    return folder / "".join(parts)


def _is_path(cell: bytes) -> bool:
    """Whether these bytes are a file's name, as writers that know no texts keep it."""
    return PATH.fullmatch(cell) is not None
