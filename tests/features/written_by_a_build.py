"""What a build writes that another one may read; run as a script it says what this build takes."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import msgspec
import numpy as np
import torch
from plain_facts import START_MS, Fact, columns

from headrace.broker.record import Record
from headrace.errors import ServiceError
from headrace.event import Served
from headrace.features.aggregation.aggregators import kept_by
from headrace.features.aggregation.layout import Layout
from headrace.features.inputs import HISTORY_LENGTH, NUM_DENSE
from headrace.features.rows.numbers_message import encode_feature_rows, numbered
from headrace.features.rows.schemas import carry_over, decode_description, encode_description
from headrace.features.rows.state_row import blank_rows, decode_rows, encode_rows
from headrace.features.schema import INPUT_SCHEMA
from headrace.features.served import as_served
from headrace.features.table import LAYOUTS
from headrace.model.config import RankerConfig
from headrace.offline.archived_samples import ArchivedSamples
from headrace.offline.tables import feature_row_tables, sample_tables
from headrace.registry.manifest import Manifest
from headrace.registry.versions import load_weights
from headrace.sample import Sample, decode_batch, encode_batches

# Every accumulator has something of it.
LOG = [Fact(click=1.0, like=1.0, long_view=1.0, value=0.5, slots=(1,), position=1)]


def sample() -> Sample:
    """A sample of one item, in which this build's ranker reads zeros."""
    dense, history = bytes(4 * NUM_DENSE), bytes(24 * HISTORY_LENGTH)
    begin = (0, 0, 0, INPUT_SCHEMA, "r", START_MS, START_MS, 1, ())
    return Sample(*begin, item_keys=(2,), outcomes=(1,), labelled=1, dense=dense, history=history)


def write(folder: Path) -> None:
    """A row of each kind of entity, a sample, served features and a version."""
    (folder / "tables").write_bytes(encode_description())
    for layout in LAYOUTS:
        rows = blank_rows(layout, 1)
        layout.add(rows["state"], columns(LOG))
        (folder / f"{layout.entity}.row").write_bytes(encode_rows(rows)[0])
        (message,) = encode_feature_rows(numbered(layout, 0, ["it"], rows))
        (folder / f"{layout.entity}.numbers").write_bytes(message)
    (folder / "samples").write_bytes(next(iter(encode_batches([sample()]))))
    served = Served(INPUT_SCHEMA, sample().dense, sample().history)
    (folder / "served").write_bytes(msgspec.json.encode(served))
    torch.save({}, folder / "weights")
    manifest = Manifest(
        version=7,
        uri=f"file://{folder}/weights",
        sha256=hashlib.sha256((folder / "weights").read_bytes()).hexdigest(),
        created_ms=START_MS,
        schema=INPUT_SCHEMA,
        model=RankerConfig(num_dense=NUM_DENSE),
        num_samples=1,
        newest_event_ms=START_MS,
    )
    (folder / "manifest").write_bytes(msgspec.json.encode(manifest))


def begun_anew(folder: Path) -> dict[str, list[str]]:
    """What of that this build does not go on with: the features whose states are as before any
    event, and what else it leaves alone."""
    return {
        "states": sorted(name for layout in LAYOUTS for name in _states(folder, layout)),
        "others": sorted(name for name, is_read in _others(folder).items() if not is_read),
    }


def _states(folder: Path, layout: Layout) -> list[str]:
    described = decode_description((folder / "tables").read_bytes())
    payload = (folder / f"{layout.entity}.row").read_bytes()
    rows = decode_rows(carry_over([payload], layout, lambda schema: described), layout)
    state_1, fresh_1 = rows["state"], layout.new(1)
    anew = [k for k, n in layout.field_of.items() if np.array_equal(state_1[n], fresh_1[n])]
    return [one.name for one in layout.features if kept_by(one.aggregator.over) in anew]


def _others(folder: Path) -> dict[str, bool]:
    def record(name: str) -> Record:
        return Record(0, 0, START_MS, b"", (folder / name).read_bytes())

    (archived,) = sample_tables([record("samples")]).values()
    (one,) = decode_batch(record("samples").value)
    served = msgspec.json.decode(record("served").value, type=Served)
    numbers = {
        f"numbers of {layout.entity}": feature_row_tables([record(f"{layout.entity}.numbers")])
        for layout in LAYOUTS
    }
    return {
        "samples": not ArchivedSamples(archived).is_of_another_table(one),
        "served features": as_served(served, 1) is not None,
        "versions": _serves(msgspec.json.decode(record("manifest").value, type=Manifest)),
        **{name: bool(tables) for name, tables in numbers.items()},
    }


def _serves(manifest: Manifest) -> bool:
    try:
        load_weights(manifest)
    except ServiceError as error:
        assert "headrace train" in str(error), error
        return False
    return True


if __name__ == "__main__":
    print(json.dumps(begun_anew(Path(sys.argv[1]))))
