"""The small loop with a model of two surfaces, and users who have a history."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from small_loop import ITEMS, NOW_MS, SHOP, sample, small_loop, trained
from stream_servers import materialize

from headrace import event
from headrace.broker.record import Record
from headrace.config import Settings
from headrace.event import ImpressionEvent, Shown
from headrace.features.online.store import OnlineStore
from headrace.features.rows.merged import MergedState
from headrace.features.table import USER_LAYOUT
from headrace.model.calibration import MIN_LABELS
from headrace.positions.commit import Commit
from headrace.sample import Sample
from headrace.stream.step.intake import decode_records
from headrace.stream.step.partition import Partition, PartitionSettings

VECTORS = "given_vector/1-4d"
SURFACES = ("home", "search")
NUM_REQUESTS = 1 + MIN_LABELS // 4  # on each of them, so that it has a calibration of its own


@contextmanager
def two_surfaces(folder: Path) -> Iterator[Settings]:
    """The loop's settings. On `home`, u0 clicked i1 and was shown i2; u1 was shown everything."""
    with small_loop(folder) as loop:
        loop.write_vectors(VECTORS, 4)
        made = loop.settings("two_surfaces", vector_tables=VECTORS, surfaces=",".join(SURFACES))
        materialize(made, SHOP)
        write_history(made)
        with trained(made, [shown_on(SURFACES[n % 2], n) for n in range(2 * NUM_REQUESTS)]):
            yield made


def shown_on(surface: str, number: int) -> Sample:
    """A request of four items; on `search` they are clicked more often than elsewhere."""
    clicked = {"outcomes": (1, 1, 0, 1)} if surface == "search" else {}
    return sample(number, surface=surface, **clicked)


def write_history(settings: Settings) -> None:
    items = {item.item_id: item for item in ITEMS}
    partition = Partition(0, Commit(), MergedState(items.get), PartitionSettings(100, 100))
    partition.add_users(["u0", "u1"], [None, None], [(), ()])
    shown = [("u0", Shown("i1", clicked=True)), ("u0", Shown("i2", clicked=False))]
    shown += [("u1", Shown(item.item_id, clicked=False)) for item in ITEMS]
    events = [
        ImpressionEvent(f"e{n}", NOW_MS - 60_000 * (2 - n % 2), user_id, f"r{n}", (one,))
        for n, (user_id, one) in enumerate(shown)
    ]
    records = [Record(0, n, NOW_MS, b"", event.encode(one)) for n, one in enumerate(events)]
    ids, rows = partition.process(decode_records(records, NOW_MS), NOW_MS).changed.users
    OnlineStore(settings).write(USER_LAYOUT, ids, rows)
