"""A replica of an evaluation: the stream, the learner and the stages of a request in one process.

Everything before a point is known at it, and learned of: features at once, weights in batches of
the size that a trainer takes. What a request reads and does is a replica's own code.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from headrace.application.current import APPLICATION
from headrace.application.exploration import Exploration
from headrace.application.sections import Application
from headrace.application.seen import SeenPolicy
from headrace.broker.record import Record
from headrace.catalogue.content_index import ContentIndex
from headrace.catalogue.item import Dataset
from headrace.catalogue.table.table import table_of
from headrace.catalogue.words import user_word_keys
from headrace.config import Settings
from headrace.evaluation.slates.blending import WalkedBlend
from headrace.evaluation.slates.learner import WalkLearner
from headrace.evaluation.slates.points import Point, Visitor, had_of
from headrace.evaluation.slates.snapshot import (
    CompanionsByRow,
    GroupsOfRows,
    ItemStatesByRow,
    WalkedSnapshot,
)
from headrace.event import Event
from headrace.events.declared import as_declared
from headrace.features.rows.state_row import decode_rows
from headrace.features.table import USER_LAYOUT
from headrace.pipeline.context import Context, User, age_of
from headrace.pipeline.run import run
from headrace.pipeline.sessions import SessionMemory
from headrace.pipeline.stage import Stage
from headrace.slates.fresh import Fresh
from headrace.slates.rank import RankContext
from headrace.slates.stages import slate_stages
from headrace.slates.trending import Trending
from headrace.stream.step.batch_path import BatchPath
from headrace.stream.step.intake import Decoded
from headrace.stream.step.negatives import Negatives
from headrace.stream.step.partition import PartitionSettings

PARTITION: Final = 0
CONTENT: Final = "content"
STEP: Final = 1_024  # events that are worked on at once, where nothing is asked between them


@dataclass(frozen=True, slots=True)
class SlateRules:
    """How a replica of an evaluation makes slates: as they are ranked, unless told otherwise."""

    application: Application = replace(APPLICATION, exploration=Exploration())
    seen: SeenPolicy = SeenPolicy()
    blends: bool = True  # with weights that it fits


JUDGED: Final = SlateRules()


class WalkedReplica:
    """Takes the events of a dataset in the order of time, and answers requests between them."""

    def __init__(
        self, dataset: Dataset, settings: Settings, learner: WalkLearner, rules: SlateRules = JUDGED
    ) -> None:
        ids = [item.item_id for item in dataset.items]
        self._attributes = {user.user_id: user.attributes for user in dataset.users}
        window_ms = int(settings.stream.click_window_s * 1_000)
        negatives = Negatives.of(settings, ids)
        self._path = BatchPath(
            {item.item_id: item for item in dataset.items}.get,
            PartitionSettings(settings.stream.dedupe_window, window_ms, negatives=negatives),
            words_of=lambda user_id: user_word_keys(self._attributes.get(user_id, ())),
        )
        self._path.merged.items.indexes(ids)
        self._path.merged.meet_items()
        self.ids = ["", *ids]  # by row
        self.catalogue = table_of(dataset.items)
        self.row_of = {item_id: row for row, item_id in enumerate(self.ids) if row}
        self._learner, self._trending = learner, Trending(self.catalogue)
        self._fresh = Fresh(self.catalogue)
        keys = self.catalogue.keys(self.catalogue.rows())
        self._content = (
            ContentIndex(learner.content, keys) if CONTENT in APPLICATION.sources else None
        )
        self._decoded: list[Decoded] = []
        self._changed: set[int] = set()
        self._sessions = SessionMemory()
        self._states = ItemStatesByRow(self._path.merged)
        most = settings.serving.max_candidates
        self.blend = WalkedBlend(most)
        self._stages: tuple[Stage[RankContext], ...] = slate_stages(
            self._hydrate,
            _no_answer,
            most,
            rules.seen,
            rules.application,
            self.blend if rules.blends else None,
        )

    def take(self, offset: int, event: Event) -> None:
        """Take in the next event of the log."""
        record = Record(PARTITION, offset, event.event_time_ms, b"", b"")
        self._decoded.append(Decoded(record, event))
        self._changed.update(self.row_of.get(item_id, 0) for item_id in had_of(event))
        if len(self._decoded) >= STEP:
            self._work()

    def visit(self, user_id: str, visitor: Visitor) -> None:
        """Remember a user's session as a replica would that is asked for a slate now."""
        if visitor.session:
            self._sessions.remember(user_id, [*visitor.session])

    def slate(self, point: Point, num_items: int) -> RankContext:
        """The finished request for so many items, before the event of a point is taken in."""
        self._work()
        event = point.event
        context = RankContext(
            user_id=event.user_id,
            request_id=event.event_id,
            now_ms=point.now_ms,
            catalogue=self.catalogue,
            snapshot=self._snapshot(point.now_ms),
            num_items=num_items,
            surface=event.surface,
            exclude=[self.ids[row] for row in point.visitor.had],
            told=as_declared(event.context or {}),
        )
        run(self._stages, context)
        return context

    def _work(self) -> None:
        """Process the events taken, and let the learner learn of them."""
        if self._decoded:
            newest_ms = self._decoded[-1].record.arrival_ms
            self._learner.learn(self._path.process(PARTITION, self._decoded, newest_ms).samples)
            self._decoded = []

    def _snapshot(self, now_ms: int) -> WalkedSnapshot:
        changed_U = np.array(sorted(self._changed - {0}), np.int64)
        self._changed.clear()
        self._trending.take(changed_U, self._states, now_ms)
        self._fresh.take(changed_U, self._states)
        return WalkedSnapshot(
            self._learner.model(self.catalogue),
            self._states,
            self._trending.rows,
            CompanionsByRow(self._path.merged, self.ids),
            self._sessions,
            GroupsOfRows(self._path.merged),
            self._content,
            self._fresh.rows,
        )

    def _hydrate(self, context: Context) -> None:
        row = self._path.user_rows.get(context.user_id)
        attributes = self._attributes.get(context.user_id, ())
        state_1 = decode_rows([row], USER_LAYOUT)["state"] if row else USER_LAYOUT.new(1)
        told = user_word_keys(attributes), age_of(attributes)
        context.user = User(state_1, told[0], age=told[1], words=attributes)


def _no_answer(context: RankContext) -> None:
    """The candidates that are left are the slate."""
