"""A build's views, a stream worker until so many events are accepted, and what the store says then:
the test of a changed feature table runs it in two copies of the project.

    python run_worker.py NUM_EVENTS FEATURE...
"""

from __future__ import annotations

from headrace.feast_adapter import first_import as _before_feast  # noqa: F401
from headrace.rooms.folder import room_path

# isort: split
import json
import sys

import numpy as np
from feast import FeatureStore
from redis import Redis

from headrace import config
from headrace.clock import now_ms
from headrace.features.online.store import OnlineStore
from headrace.features.rows.state_row import decode_rows
from headrace.features.table import FEATURES, LAYOUTS, LIFE
from headrace.offline import materialize
from headrace.positions.store import CommitStore
from headrace.stream.worker import Worker

USERS, ITEMS = [f"u{n}" for n in range(20)], [f"i{n}" for n in range(8)]


def main(num_events: int, names: list[str]) -> None:
    """Work; print lifetime sums by entity, and features as Feast and as states have them."""
    settings = config.load()
    materialize.apply(settings)
    commits = CommitStore(Redis.from_url(settings.redis_url), settings.namespace)
    deadline_ms = now_ms() + 60_000

    def done() -> bool:
        accepted = sum(commit.accepted for commit in commits.read_all().values())
        return accepted >= num_events or now_ms() > deadline_ms

    steps_left = [30]  # after the last event: its partial rows come back, and are written merged
    worker = Worker(settings, range(settings.stream.num_partitions), now_ms)

    def should_stop() -> bool:
        steps_left[0] -= done()
        return steps_left[0] < 0

    worker.run(should_stop)
    store, sums, values = OnlineStore(settings), {}, {}
    ids_of = {"user": USERS, "item": ITEMS}
    for layout in LAYOUTS[:2]:
        ids = ids_of[layout.entity]
        found = [(i, row) for i, row in zip(ids, store.read_rows(layout, ids), strict=True) if row]
        rows = decode_rows([row for _, row in found], layout)
        life = rows["state"][layout.field_of[LIFE]].tolist()
        sums |= {i: one for (i, _), one in zip(found, life, strict=True)}
        for name in {feature.name for feature in layout.features} & {*names}:
            value_N = layout.value(name, rows["state"], np.asarray(rows["event_time_ms"]))
            values[name] = dict(zip((i for i, _ in found), value_N.tolist(), strict=True))
    feast = FeatureStore(repo_path=str(room_path("feature_repo")))
    known = {feature.name for feature in FEATURES} & {*names}
    answer = feast.get_online_features(
        [f"{name.partition('_')[0]}_activity:{name}" for name in sorted(known)],
        [{"user_id": user, "item_id": ITEMS[0]} for user in USERS],
    ).to_dict()
    print(json.dumps({"sums": sums, "values": values, "feast": answer}))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
