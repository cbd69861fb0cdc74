"""The loop over items that are described in one modality; run in a build that knows it.

`python loop_with_a_modality.py FOLDER MODALITY ENCODER` prints what came of it, as JSON.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import test_the_loop_in_memory as loop

from headrace.api.slate import RecommendRequest
from headrace.catalogue import content
from headrace.catalogue.vector_table import SCHEMA, VectorTable
from headrace.catalogue.vectors import ContentVectors
from headrace.catalogue.words import ContentTable
from headrace.datasets.table import loader
from headrace.encoders import registry
from headrace.features.table import ITEM_LAYOUT
from serving.recommend import Recommender
from serving.replica.snapshot import Snapshot
from serving.replica.state_pages import StatePages
from serving.stages.hydrate import Hydrate

MAPPING = """
events: {file: events.csv, user_id: u, item_id: i, time: {column: t, unit: s}, clicked: c}
items: {file: items.csv, item_id: id, MODALITY: of}
"""


def write_shop(folder: Path, modality: str) -> None:
    """The items of the loop, each with a file of one byte: of tea, or of mugs."""
    (folder / "headrace.yaml").write_text(MAPPING.replace("MODALITY", modality))
    (folder / "events.csv").write_text("u,i,t,c\nann,i1,1,1\n")
    rows = ["id,of"]
    for item in loop.ITEMS:
        (folder / item.item_id).write_bytes(bytes([item.categories == ("mugs",)]))
        rows.append(f"{item.item_id},{item.item_id}")
    (folder / "items.csv").write_text("\n".join(rows))


def encoded(folder: Path, modality: str, name: str) -> ContentVectors:
    """The finished table of an encoder of the modality."""
    content.write_content(loader.load(folder), folder)
    encoder = registry.load(name)
    assert encoder.modality == modality
    rows = pq.read_table(folder / content.CONTENT_FILE)
    made = encoder.encode(content.values(rows, modality))
    hashes = content.read_hashes(folder, modality)
    table = VectorTable(folder / "vectors", f"{name}/{encoder.version}")
    columns = [rows["item_id"], list(hashes.values()), list(made.vector_ND), [None] * len(rows)]
    table.append(pa.table(columns, SCHEMA))
    table.finish(hashes)
    return ContentVectors.read(folder / "vectors", [table.name])


def main(folder: Path, modality: str, name: str) -> None:
    """Encodes the shop, trains with the vectors, and ranks a slate with and without them."""
    write_shop(folder, modality)
    vectors = encoded(folder, modality, name)
    bare = {item.item_id: replace(item, title="", categories=()) for item in loop.ITEMS}
    loop.CONTENT = ContentTable(bare, vectors)
    loop.CONFIG = replace(loop.CONFIG, content_widths=vectors.widths)
    samples, user_rows = loop.streamed()
    learner, states = loop.learned(samples), StatePages(ITEM_LAYOUT, 9).states
    recommender = Recommender(Hydrate(loop.OnlineStore(user_rows)), loop.CATALOGUE, 100)
    asked, slates = RecommendRequest("bob", num_items=4), []
    for table in (loop.CONTENT, ContentTable(bare)):
        model = loop.made_ready(learner, loop.CATALOGUE, table, loop.NOW_MS)
        snapshot = Snapshot((model,), states, np.arange(1, 9))
        slates.append(recommender.recommend(asked, snapshot, loop.NOW_MS + 60_000)[0])
    found = {
        "tables": vectors.names,
        "shown": [loop.OF_ID[one.item_id].categories[0] for one in slates[0].items],
        "scores": [max(one.score for one in slate.items) for slate in slates],
        "views": view_names(),
    }
    print(json.dumps(found))


def view_names() -> list[str]:
    """The names of the vector views; Feast is imported last, it takes seconds."""
    from headrace.feast_adapter import first_import as _first  # noqa: F401
    from headrace.feast_adapter.views import encoded_views

    return [view.name for view in encoded_views]


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
