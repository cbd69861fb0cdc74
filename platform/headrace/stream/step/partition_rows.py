"""The rows that a partition's events change: its users, and its part of the merged entities.

N facts   U entities   Q states asked for   C candidates of all requests   G groups of an item
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from headrace.features.aggregation.accumulators import State
from headrace.features.aggregation.asked import Groups, Requests
from headrace.features.aggregation.facts import CLICK, Facts, Ints
from headrace.features.companions import COMPANIONS
from headrace.features.inputs import RequestFeatures, assemble
from headrace.features.rows.merged import MergedState
from headrace.features.rows.state_row import Rows, blank_rows
from headrace.features.rows.user_table import UserTable
from headrace.features.segments import segments_of
from headrace.features.surface_trends import SURFACE_TRENDS
from headrace.features.table import (
    CAMPAIGN,
    CATEGORY,
    CATEGORY_LAYOUT,
    GROUP_LAYOUT,
    HAS_GROUPS,
    ITEM,
    ITEM_LAYOUT,
    USER_LAYOUT,
)
from headrace.stream.step.covisits import Covisits, Pairs
from headrace.stream.step.facts_of_step import Columns, SampleRequest, StepFacts, StepLog
from headrace.stream.step.seen_items import SeenItems, seen_items, sketched


@dataclass(slots=True)
class ChangedRows:
    """Copies of the rows that changed, with the ids of their entities."""

    users: tuple[list[str], Rows] = field(default_factory=lambda: ([], blank_rows(USER_LAYOUT, 0)))
    partials: dict[str, tuple[list[str], Rows]] = field(default_factory=dict)  # by kind of entity
    expiring_users_N: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    seen: list[SeenItems] = field(default_factory=list)  # for the users' lists of last items
    sketched: SeenItems | None = None  # for the sketches of what they have seen before those
    # The users' rows as each event left them, where they were asked for.
    history: tuple[list[str], Rows] = field(
        default_factory=lambda: ([], blank_rows(USER_LAYOUT, 0))
    )


@dataclass(frozen=True, slots=True)
class Before:
    """The states before requests: of their users [Q], of their candidates [C], and of these'
    categories and authors where anything reads them."""

    user_Q: State
    item_C: State
    groups: Groups | None


class PartitionRows:
    """Takes facts into rows, and gives requests their features as of just before them."""

    def __init__(
        self,
        partition: int,
        merged: MergedState,
        max_users: int,
        every_event: bool = False,
        num_partitions: int = 0,
    ) -> None:
        self._partition, self._merged, self._every_event = partition, merged, every_event
        self.users, self._covisits = UserTable(partition, max_users, num_partitions), Covisits()

    def apply(self, facts_of_step: StepFacts) -> ChangedRows:
        """Apply the facts that the rows lack, and fill in requests; returns the changed rows."""
        changed = ChangedRows()
        columns = facts_of_step.columns()
        for request in facts_of_step.requests:
            request.user_word_keys = self.users.attributes_of(request.event.user_id)
        asked = [request for request in facts_of_step.requests if request.features is None]
        item_N = self._merged.items.indexes(columns.item_ids)
        candidate_C = self._merged.items.indexes(id_ for r in asked for id_ in r.item_ids)
        self._merged.meet_items()
        log = StepLog(self._facts(columns, item_N), columns.offset_N, columns.ordinal_N)
        user_N = self.users.indexes(columns.user_ids)
        pairs = self._covisits.pairs(user_N, columns.item_ids, log.facts, self.users)
        user_Q = self._apply_users(user_N, log, asked, changed)
        changed.seen = seen_items(columns.user_ids, log.facts, self.users)
        changed.sketched = sketched(columns.user_ids, user_N, log.facts, self.users)
        before = Before(
            user_Q,
            self._items_before(item_N, log, asked, candidate_C),
            self._groups_before(item_N, log, asked, candidate_C) if HAS_GROUPS else None,
        )
        self._apply_group(ITEM, log, item_N, changed)
        self._apply_categories(item_N, log, changed)
        self._apply_campaigns(columns.campaign_ids, log, changed)
        self._apply_companions(pairs, log, changed)
        self._apply_trends(columns, log, changed)
        if asked:
            self._give_features(asked, before)
        return changed

    def item_keys(self, item_ids: Sequence[str]) -> Ints:
        """[N]: the keys of these items."""
        return self._merged.item_keys(item_ids, self._merged.items.find(item_ids))

    def _give_features(self, asked: Sequence[SampleRequest], before: Before) -> None:
        """Give requests their features, from the states before them."""
        for request, of_request in zip(asked, self._assembled(asked, before), strict=True):
            request.features = of_request

    def _assembled(self, asked: Sequence[SampleRequest], before: Before) -> list[RequestFeatures]:
        """The features of requests at their own times, from the states before them."""
        candidate_C = self._merged.items.find(id_ for r in asked for id_ in r.item_ids)
        events = [request.event for request in asked]
        requests = Requests.of(
            [event.event_time_ms for event in events],
            [event.surface for event in events],
            [event.context for event in events],
        )
        request_C = np.repeat(np.arange(len(asked)), [len(r.item_ids) for r in asked])
        items = self._merged.catalogue.asked(candidate_C, request_C)
        return assemble(before.user_Q, before.item_C, requests, items, before.groups)

    def _facts(self, columns: Columns, item_N: Ints) -> Facts:
        catalogue = self._merged.catalogue
        return Facts(
            entity_N=item_N,
            time_ms_N=columns.time_ms_N,
            item_key_N=self._merged.item_keys(columns.item_ids, item_N),
            position_N=columns.position_N,
            surface_N=columns.surface_N,
            measure_NM=columns.measure_NM,
            settled_N=columns.settled_N,
            slot_NS=catalogue.slots(item_N),
            word_NW=columns.word_NW,
        )

    def _apply_users(
        self,
        user_N: Ints,
        log: StepLog,
        asked: Sequence[SampleRequest],
        changed: ChangedRows,
    ) -> State:
        """[Q]: the states of the users of the requests, before these."""
        user_Q = self.users.indexes(request.event.user_id for request in asked)
        distinct_U, place = np.unique(np.concatenate([user_N, user_Q]), return_inverse=True)
        rows_U = self.users.read(distinct_U)
        ordinal_Q = np.array([request.ordinal for request in asked], np.int64)
        new = log.about(place[: len(user_N)]).not_included(rows_U)
        if self._every_event:
            user_K, rows_K = new.after_each(USER_LAYOUT, rows_U)
            changed.history = ([self.users.ids[index] for index in distinct_U[user_K]], rows_K)
        state_Q = new.add_and_snapshot(
            USER_LAYOUT, rows_U["state"], place[len(user_N) :], ordinal_Q
        )
        changed_V = new.stamp(rows_U)
        self.users.write(distinct_U, rows_U)
        ids = [self.users.ids[index] for index in distinct_U[changed_V].tolist()]
        changed.users = (ids, rows_U.take(changed_V))
        changed.expiring_users_N = self.users.are_unknown(distinct_U[changed_V])
        return state_Q

    def _items_before(
        self, item_N: Ints, log: StepLog, asked: Sequence[SampleRequest], candidate_C: Ints
    ) -> State:
        """[C]: the states, over all partitions, of the candidates of the requests, before these."""
        distinct_U, place_C = np.unique(candidate_C, return_inverse=True)
        merged_U = self._merged.items.states(distinct_U)
        new = self._new(ITEM, distinct_U, log, item_N)
        return new.add_and_snapshot(ITEM_LAYOUT, merged_U, place_C, _ordinals(asked))

    def _groups_before(
        self, item_N: Ints, log: StepLog, asked: Sequence[SampleRequest], candidate_C: Ints
    ) -> Groups:
        """The same of the candidates' categories and authors, each for each candidate."""
        catalogue, table = self._merged.catalogue, self._merged.categories
        group_CG, group_NG = catalogue.groups(candidate_C), catalogue.groups(item_N)
        row_P, column_P = np.nonzero(group_CG >= 0)
        distinct_U, of_P = np.unique(group_CG[row_P, column_P], return_inverse=True)
        fact_K, column_K = np.nonzero(group_NG >= 0)
        new = self._new(CATEGORY, distinct_U, log.take(fact_K), group_NG[fact_K, column_K])
        part_U = GROUP_LAYOUT.part_of(table.states(distinct_U), CATEGORY_LAYOUT)
        state_P = new.add_and_snapshot(GROUP_LAYOUT, part_U, of_P, _ordinals(asked)[row_P])
        place_CG = np.full(group_CG.shape, -1)
        place_CG[row_P, column_P] = np.arange(len(row_P))
        return Groups(state_P, place_CG, catalogue.are_authors(candidate_C))

    def _new(self, entity: str, distinct_U: Ints, log: StepLog, index_N: Ints) -> StepLog:
        """The facts about these entities that this partition's rows do not include yet."""
        partial_U = self._merged.tables[entity].partials(distinct_U, self._partition)
        about_K = np.flatnonzero(np.isin(index_N, distinct_U) & (index_N >= 0))
        entity_K = np.searchsorted(distinct_U, index_N[about_K])
        return log.take(about_K).about(entity_K).not_included(partial_U)

    def _apply_categories(self, item_N: Ints, log: StepLog, changed: ChangedRows) -> None:
        group_NG = self._merged.catalogue.groups(item_N)
        fact_P, column_P = np.nonzero(group_NG >= 0)
        self._apply_group(CATEGORY, log.take(fact_P), group_NG[fact_P, column_P], changed)

    def _apply_campaigns(
        self, campaign_ids: Sequence[str | None], log: StepLog, changed: ChangedRows
    ) -> None:
        fact_K = np.array([n for n, id_ in enumerate(campaign_ids) if id_ is not None], np.int64)
        index_K = self._merged.campaigns.indexes(id_ for id_ in campaign_ids if id_ is not None)
        self._apply_group(CAMPAIGN, log.take(fact_K), index_K, changed)

    def _apply_companions(self, pairs: Pairs, log: StepLog, changed: ChangedRows) -> None:
        index_P = self._merged.tables[COMPANIONS].indexes(pairs.item_ids)[pairs.item_P]
        told = StepLog(pairs.facts, log.offset_N[pairs.fact_P], log.ordinal_N[pairs.fact_P])
        self._apply_group(COMPANIONS, told, index_P, changed)

    def _apply_trends(self, columns: Columns, log: StepLog, changed: ChangedRows) -> None:
        """Clicks count for their surface, and for the segments of their user and context."""
        click_M = np.flatnonzero(log.facts.measures([CLICK])[:, 0] > 0)
        surface_M, word_MW = log.facts.surface_N[click_M], log.facts.word_NW[click_M]
        codes = [
            (surface, *segments_of(self.users.attributes_of(columns.user_ids[fact]), words))
            for fact, surface, words in zip(
                click_M.tolist(), surface_M.tolist(), word_MW.tolist(), strict=True
            )
        ]
        fact_K = np.repeat(click_M, [len(of_click) for of_click in codes])
        ids = (str(code) for of_click in codes for code in of_click)
        index_K = self._merged.tables[SURFACE_TRENDS].indexes(ids)
        self._apply_group(SURFACE_TRENDS, log.take(fact_K), index_K, changed)

    def _apply_group(self, entity: str, log: StepLog, index_K: Ints, changed: ChangedRows) -> None:
        """Take the facts that are new into this partition's rows of merged entities."""
        table = self._merged.tables[entity]
        if index_K.min(initial=0) < 0:  # of unknown entities that have no place
            has_K = np.flatnonzero(index_K >= 0)
            log, index_K = log.take(has_K), index_K[has_K]
        distinct_U, place_K = np.unique(index_K, return_inverse=True)
        partial_U = table.partials(distinct_U, self._partition)
        new = log.about(place_K).not_included(partial_U)
        table.layout.add(partial_U["state"], new.facts)
        changed_V = new.stamp(partial_U)
        if len(changed_V):
            index_V, row_V = distinct_U[changed_V], partial_U.take(changed_V)
            table.replace(index_V, self._partition, row_V)
            changed.partials[entity] = ([table.ids[index] for index in index_V.tolist()], row_V)


def _ordinals(asked: Sequence[SampleRequest]) -> Ints:
    """[C]: of each candidate its request's ordinal."""
    return np.array([r.ordinal for r in asked for _ in r.item_ids], np.int64)
