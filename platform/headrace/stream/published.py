"""Published rows: those of a worker's own entities in `item-features` when the worker starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from headrace.broker.reader import LogReader
from headrace.broker.record import Record
from headrace.broker.topics import Topics
from headrace.broker.writer import LogWriter
from headrace.config import Settings
from headrace.features.rows.messages.ownership import owner_of
from headrace.features.rows.messages.row_messages import OF_ALL, RowDecoder, RowKey, row_key_of
from headrace.features.rows.state_row import START_PARTITION, position_in


@dataclass(slots=True)
class Published:
    """The positions of the merged rows in the topic, and partial rows, which lay in it in earlier
    versions."""

    positions: dict[RowKey, int] = field(default_factory=dict)
    partials: dict[RowKey, Record] = field(default_factory=dict)


def published_rows(reader: LogReader, decoder: RowDecoder) -> Published:
    """The rows that lie in the topic `item-features`, up to its end; others are counted."""
    found = Published()
    for records in reader.read_to_end():
        for record in records:
            about = row_key_of(record.key)
            if about is None or about.source not in (OF_ALL, START_PARTITION, record.partition):
                decoder.skip(record, "no key of a row", repr(record.key))
            elif about.source != OF_ALL:
                found.partials[about] = record
            else:
                found.positions[about] = position_in(record.value)
            if about and not record.value:
                found.positions.pop(about, None)
                found.partials.pop(about, None)
    return found


def move_partial_rows(settings: Settings, partials: Mapping[RowKey, Record]) -> None:
    """Send partial rows to the topic that is theirs, and delete them from `item-features`. It may
    be done again after a crash: they know what they include."""
    if not partials:
        return
    topics, writer = Topics(settings.namespace), LogWriter(settings)
    for about, record in partials.items():
        number = owner_of(about.entity_id, settings.stream.num_partitions)
        writer.send(topics.item_partials, record.value, record.key, number)
    writer.flush()
    for record in partials.values():
        writer.send(topics.item_features, None, record.key, record.partition)
    writer.flush()
    writer.close()
