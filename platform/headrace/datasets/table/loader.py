"""A user's own data: CSV or Parquet files of events, items and users, described by a small YAML.

Every row is checked by itself. A row that cannot be used becomes a `BadRow` of the dataset and the
others go on. The events are held in memory, up to 0.8 kB a row, because rows may come in
any order and rows of one request are put together.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from headrace.catalogue.content import FILES
from headrace.catalogue.item import BadRow, Content, Dataset, Item, User
from headrace.datasets.table import cell as table_cell
from headrace.datasets.table import log as table_log
from headrace.datasets.table import mapping as table_mapping
from headrace.datasets.table.file import Row, RowError, TableFile
from headrace.datasets.table.mapping import (
    EventColumns,
    ItemColumns,
    Labels,
    TableMapping,
    UserColumns,
)
from headrace.errors import ConfigError, DatasetError
from headrace.event import ImpressionEvent


def load(folder: Path | None) -> Dataset:
    """The user's tables in `folder`, as `headrace.yaml` there describes them.

    With an items or users file, the catalogue is what that file lists; without one, it is what the
    events name. Raises `ConfigError` when the mapping does not fit the files, `DatasetError` when
    no row is usable.
    """
    if folder is None:
        raise DatasetError("dataset table is your own data: give its folder with --data FOLDER")
    mapping = table_mapping.read(folder)
    _check_files(folder, mapping)
    file = TableFile(folder / mapping.events.file)
    events = table_log.impressions(file, mapping.events)
    if not events:
        raise DatasetError(_nothing_usable(file))
    bad = file.bad_rows
    return Dataset(
        name="table",
        items=_items(folder, mapping.items, bad) if mapping.items else _shown_items(events),
        users=_users(folder, mapping.users, bad) if mapping.users else _active_users(events),
        events=lambda: iter(events),
        num_events=len(events),
        start_ms=events[0].event_time_ms,
        end_ms=events[-1].event_time_ms,
        bad_rows=tuple(bad),
        contents=lambda: _contents(folder, mapping.items),
    )


def _check_files(folder: Path, mapping: TableMapping) -> None:
    """Raises `ConfigError` naming every file and column that the mapping names in vain."""
    parts = {"events": mapping.events, "items": mapping.items, "users": mapping.users}
    problems = [
        f"{name}.{problem}"
        for name, part in parts.items()
        if part is not None
        for problem in _misfits(folder / part.file, part)
    ]
    if problems:
        raise ConfigError(f"{table_mapping.path_of(folder)}: {'; '.join(problems)}")


def _misfits(path: Path, part: EventColumns | ItemColumns | UserColumns) -> Iterator[str]:
    if not path.is_file():
        yield f"file: there is no file {path}"
        return
    found = TableFile(path).header()
    for key, column in table_mapping.columns(part):
        if found.count(column) != 1:
            what = "more than one" if column in found else "no"
            has = f"it has {', '.join(found)}" if found else "it is empty"
            yield f"{key}: {path.name} has {what} column {column!r}; {has}"


def _nothing_usable(file: TableFile) -> str:
    if not file.bad_rows:
        return f"{file.path}: no rows"
    first = file.bad_rows[0]
    example = f"the first is line {first.line}, {first.column}: {first.reason}"
    return f"{file.path}: no usable row; {len(file.bad_rows)} bad rows, {example}"


def _items(folder: Path, part: ItemColumns, bad: list[BadRow]) -> tuple[Item, ...]:
    file = TableFile(folder / part.file)
    labels = _labels(part.categories)
    items = tuple(
        Item(
            item_id,
            table_cell.text(row.cells[part.title]) if part.title else "",
            table_cell.labels(row.cells[labels.column], labels.separator) if labels else (),
            _words(row, part.attributes),
        )
        for item_id, row in _entities(file, part, part.item_id)
    )
    if not items:
        raise DatasetError(_nothing_usable(file))
    bad.extend(file.bad_rows)
    return items


def _contents(folder: Path, part: ItemColumns | None) -> Iterator[Content]:
    """The encoders' input in the items file; bad rows were reported when the items were read."""
    if part is None:
        return
    files = {name: column for name in FILES if (column := getattr(part, name, None))}
    if not (part.description or files or part.vector):
        return
    numbers = _labels(part.vector)
    for item_id, row in _entities(TableFile(folder / part.file), part, part.item_id):
        yield Content(
            item_id,
            (table_cell.text(row.cells[part.description]) or None) if part.description else None,
            table_cell.vector(row.cells[numbers.column], numbers.separator) if numbers else None,
            {
                name: file
                for name, column in files.items()
                if (file := table_cell.file(row.cells[column], folder)) is not None
            },
        )


def _labels(given: str | Labels | None) -> Labels | None:
    """A plain column name stands for the default separator."""
    return Labels(column=given) if isinstance(given, str) else given


def _users(folder: Path, part: UserColumns, bad: list[BadRow]) -> tuple[User, ...]:
    file = TableFile(folder / part.file)
    rows = _entities(file, part, part.user_id)
    users = tuple(User(user_id, _words(row, part.attributes)) for user_id, row in rows)
    bad.extend(file.bad_rows)
    return users


def _entities(
    file: TableFile, part: ItemColumns | UserColumns, id_column: str
) -> Iterator[tuple[str, Row]]:
    """Each row with its id; a missing or repeated id makes a bad row."""
    lines: dict[str, int] = {}
    for row in file.rows([column for _, column in table_mapping.columns(part)]):
        try:
            entity_id = row.value(id_column, table_cell.identifier)
            if entity_id in lines:
                reason = f"{entity_id!r} is already on line {lines[entity_id]}"
                raise RowError(id_column, reason)
        except RowError as error:
            file.reject(row.line, error)
        else:
            lines[entity_id] = row.line
            yield entity_id, row


def _words(row: Row, columns: tuple[str, ...]) -> tuple[str, ...]:
    """The attributes that have a value, as "name=value"."""
    values = ((column, table_cell.text(row.cells[column]).strip()) for column in columns)
    return tuple(f"{column}={value}" for column, value in values if value)


def _shown_items(events: tuple[ImpressionEvent, ...]) -> tuple[Item, ...]:
    return tuple(map(Item, dict.fromkeys(s.item_id for event in events for s in event.items)))


def _active_users(events: tuple[ImpressionEvent, ...]) -> tuple[User, ...]:
    return tuple(map(User, dict.fromkeys(event.user_id for event in events)))
