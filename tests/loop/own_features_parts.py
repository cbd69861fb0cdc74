"""The parts of a deployment for a while, in a process of its own, whose files a test changes.

    python own_features_parts.py FIRST_EVENT CONTEXT_AS_JSON FEATURE...

Events of ann come; stream, archive, trainer and a replica take them in, each as its own class runs;
what they make of the features that are named is printed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from redis import Redis

from headrace import config
from headrace.api.slate import InvalidRequest, RecommendRequest, parse
from headrace.broker.topics import Topics, create_topics
from headrace.broker.writer import LogWriter
from headrace.catalogue.files import write_catalogue
from headrace.catalogue.item import Dataset, Item, User
from headrace.clock import now_ms
from headrace.event import ImpressionEvent, Shown, encode
from headrace.features.inputs import DENSE_NAMES
from headrace.features.online.store import OnlineStore
from headrace.features.online.views import activity_view
from headrace.features.rows.state_row import decode_rows
from headrace.features.table import ITEM_LAYOUT, USER_LAYOUT
from headrace.offline.archive import Archive
from headrace.offline.folder import SAMPLES, log_folder
from headrace.offline.parity_check import run as check_parity
from headrace.offline.period import Period
from headrace.offline.tables import samples_of
from headrace.positions.store import CommitStore
from headrace.sample import Sample
from headrace.stream.worker import Worker
from serving.explain import Explainer, Where
from serving.recommend import Recommender
from serving.replica.follow import Live
from serving.stages.hydrate import Hydrate
from trainers.online import OnlineTrainer

NUM_EVENTS, NUM_STEPS, NUM_ITEMS = 60, 40, 6
ITEMS = tuple(
    Item(f"i{n}", f"item {n}", (), (f"weight={n}.5", f"author=a{n % 2}")) for n in range(NUM_ITEMS)
)
USERS = (User("ann", ("age=30",)),)


def send(settings: config.Settings, first: int, context: dict[str, Any]) -> None:
    """Ann is shown two items in each request, and buys the one of the author a0."""
    with closing(LogWriter(settings)) as writer:
        for n in range(first, first + NUM_EVENTS):
            ids = [f"i{(n + place) % NUM_ITEMS}" for place in (0, 1)]
            shown = tuple(
                Shown(id_, place, n % 2 == place, outcomes={"purchase": n % 2 == place})
                for place, id_ in enumerate(ids)
            )
            event = ImpressionEvent(f"e{n}", now_ms(), "ann", f"r{n}", shown, context=context)
            writer.send(Topics(settings.namespace).events, encode(event), key=b"ann")
        writer.flush()


def work(settings: config.Settings, num_events: int) -> None:
    """Let a stream worker and the archive take in so many events."""
    commits = CommitStore(Redis.from_url(settings.redis_url), settings.namespace)
    steps_left = [20]  # after the last event

    def should_stop() -> bool:
        accepted = sum(commit.accepted for commit in commits.read_all().values())
        steps_left[0] -= accepted >= num_events
        return steps_left[0] < 0

    Worker(settings, range(1), now_ms).run(should_stop)
    archive = Archive(settings, now_ms)
    for _ in range(20):
        archive.step()
    archive.flush()


def train(settings: config.Settings) -> int:
    """A version of what the samples say; the impressions that were learned of."""
    with closing(OnlineTrainer(settings, now_ms)) as trainer:
        for _ in range(NUM_STEPS):
            trainer.step()
        return trainer.learner.num_samples


def served(settings: config.Settings, context: dict[str, Any]) -> dict[str, Any]:
    """A slate with its impression, and why the first item has its score."""
    with closing(Live(settings, now_ms)) as live:
        snapshot, store = live.catch_up(), OnlineStore(settings)
        body = json.dumps({"user_id": "ann", "num_items": 3, "context": context}).encode()
        recommender = Recommender(Hydrate(store), live.catalogue, 10)
        slate, impression = recommender.recommend(parse(body, RecommendRequest), snapshot, now_ms())
        assert impression is not None and impression.served is not None
        where = Where(told=context)
        first = slate.items[0].item_id
        explained = Explainer(live, store).explain("ann", [first], snapshot, now_ms(), where)
    dense_NF = np.frombuffer(impression.served.dense, "<f4").reshape(len(slate.items), -1)
    return {
        "version": slate.model_version,
        "degraded": slate.degraded,
        "context": impression.context,
        "dense": {name: dense_NF[:, n].tolist() for n, name in enumerate(DENSE_NAMES)},
        "effects": explained.items[0].effects,
        "items": [item.item_id for item in slate.items],
    }


def refused(context: dict[str, Any]) -> str:
    """The field and the reason with which a request is refused."""
    try:
        parse(json.dumps({"user_id": "ann", "context": context}).encode(), RecommendRequest)
    except InvalidRequest as error:
        return f"{error.field}: {error}"
    return ""


def archived(settings: config.Settings) -> list[Sample]:
    """The training sets' newest samples."""
    folder = log_folder(settings, SAMPLES)
    return [one for table in folder.tables(0) for one in samples_of(table)][-NUM_EVENTS:]


def main(first: int, context: dict[str, Any], names: Sequence[str]) -> None:
    settings = config.load()
    write_catalogue(
        Dataset("shop", ITEMS, USERS, lambda: iter(()), 0, 0, 0),
        config.catalogue_path(settings),
        now_ms(),
    )
    create_topics(settings)
    send(settings, first, context)
    work(settings, first + NUM_EVENTS)
    num_learned = train(settings)
    report = Path(settings.home) / "parity.json"
    broken = check_parity(settings, Period(), report)
    samples, store = archived(settings), OnlineStore(settings)
    values = {}
    for layout, id_ in ((USER_LAYOUT, "ann"), (ITEM_LAYOUT, "i1")):
        rows = decode_rows([row for row in store.read_rows(layout, [id_]) if row], layout)
        for feature in layout.numbers:
            at_ms = np.asarray(rows["event_time_ms"])
            values[feature.name] = layout.value(feature.name, rows["state"], at_ms).tolist()
    said = {
        "learned": num_learned,
        "broken": broken,
        "parity": json.loads(report.read_text()),
        "values": {name: values[name] for name in names if name in values},
        "contexts": [sample.context or {} for sample in samples],
        "trained": {
            name: np.concatenate([one.dense_NF[:, n] for one in samples]).tolist()
            for n, name in enumerate(DENSE_NAMES)
            if name in names
        },
        "columns": [column.name for column in activity_view(USER_LAYOUT).columns],
        "served": served(settings, context),
        "refused": [refused({"colour": "red"}), refused({**context, "hour": "noon"})],
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main(int(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3:])
