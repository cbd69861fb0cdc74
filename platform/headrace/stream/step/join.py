"""The join of outcomes to impressions: events in, facts and labelled requests out."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cache
from typing import Final, NamedTuple

from headrace.action import BIT, CLICK, EVERY_ACTION, GRADED, windows_s
from headrace.broker.record import Record
from headrace.event import (
    MICROS,
    ActionEvent,
    ClickEvent,
    Event,
    ImpressionEvent,
    Shown,
    Told,
)
from headrace.events.declared import WORDS, word_codes
from headrace.features.aggregation.facts import outcome
from headrace.features.served import as_served
from headrace.keys import surface_code
from headrace.sample import SEQUENCE_JOINED, SEQUENCE_KNOWN
from headrace.stream.step.facts_of_step import Labelled, SampleRequest, StepFacts
from headrace.stream.step.negatives import chosen_as

NO_ACTION: Final = 0
BITS: Final = tuple(BIT.values())


@dataclass(slots=True)
class OpenImpression:
    """A request with an attribution window that is open, and the outcomes of its items so far."""

    request: SampleRequest
    deadline_ms: int
    outcome_of: dict[str, int] = field(default_factory=dict)

    def outcomes(self) -> tuple[int, ...]:
        return tuple(self.outcome_of.get(item_id, 0) for item_id in self.request.item_ids)

    @property
    def event(self) -> ImpressionEvent:
        event = self.request.event
        assert isinstance(event, ImpressionEvent), "only impressions are open"
        return event

    def campaign_of(self, item_id: str) -> str | None:
        """The campaign that showed an item."""
        items = self.event.items
        return next((one.campaign_id for one in items if one.item_id == item_id), None)


class Join:
    """The open impressions of one partition, oldest first. Time is an argument.

    A request's id belongs to its user: what others send under the same id is of another request.
    """

    def __init__(self, window_ms: int) -> None:
        windows = windows_s(window_ms / 1_000)
        self._window_ms = {name: round(1_000 * window) for name, window in windows.items()}
        self._longest_ms = max(self._window_ms.values())
        self._open: OrderedDict[tuple[str, str], OpenImpression] = OrderedDict()  # user, request

    @property
    def oldest_offset(self) -> int | None:
        """The offset of the oldest open impression."""
        return next((oldest.request.record.offset for oldest in self._open.values()), None)

    def close(self, now_ms: int, facts_of_step: StepFacts) -> None:
        """The impressions whose longest window is over are complete."""
        while self._open:
            request, impression = next(iter(self._open.items()))
            if impression.deadline_ms > now_ms:
                return
            if facts_of_step.with_requests:
                facts_of_step.complete.append(Labelled(impression.request, impression.outcomes()))
            del self._open[request]

    def take(self, event: Event, record: Record, facts_of_step: StepFacts) -> None:
        """Take in a new event."""
        facts_of_step.times_ms.append(event.event_time_ms)
        if not isinstance(event, ImpressionEvent):
            self._take_action(event, record, facts_of_step)
        elif event.outcome_known:
            if facts_of_step.with_requests:
                self._complete_known(event, record, facts_of_step)
            take_shown(event, record, facts_of_step)
        elif self._was_placed(event):
            charge(event, facts_of_step)
        else:
            self._keep_open(event, record, facts_of_step)
            take_shown(event, record, facts_of_step)

    def take_again(self, event: Event, record: Record, facts_of_step: StepFacts) -> None:
        """Replay an event whose facts count already: only open impressions are restored."""
        if isinstance(event, ImpressionEvent):
            if not event.outcome_known:
                self._keep_open(event, record, facts_of_step)
        elif impression := self._impression_of(event, record):
            _note(impression, event)

    def _was_placed(self, event: ImpressionEvent) -> bool:
        """Whether this is told twice: by the replica that placed ads, and by who showed them."""
        first = self._open.get((event.user_id, event.request_id))
        return first is not None and first.event.placed != event.placed

    def _complete_known(
        self, event: ImpressionEvent, record: Record, facts_of_step: StepFacts
    ) -> None:
        """A request whose labels are known."""
        labelled, outcomes = EVERY_ACTION, []
        for shown in event.items:
            reading = _reading(shown.told)
            labelled &= reading.known
            outcomes.append(outcome(reading.came, shown.graded(reading.came)))
        request = ask(event, record, facts_of_step, SEQUENCE_KNOWN, labelled)
        facts_of_step.complete.append(Labelled(request, tuple(outcomes)))

    def _take_action(
        self, event: ClickEvent | ActionEvent, record: Record, facts_of_step: StepFacts
    ) -> None:
        """An action counts with its impression; a wish without one counts as shown and chosen too.

        Of an open impression an action counts once, and is taken back if it came; of others it
        counts, and is taken back, as often as it is told.

        A wish without an impression becomes a request that labels no head, unless items are drawn
        beside it: among what was chosen alone every probability is 1.
        """
        impression, bit = self._impression_of(event, record), BIT[_action(event)]
        if impression and not _note(impression, event):
            return
        chosen = 0 if impression else chosen_as(event)
        if chosen and facts_of_step.with_requests:
            request = ask(event, record, facts_of_step, SEQUENCE_KNOWN, NO_ACTION)
            request.chosen = chosen
            came = outcome(chosen, getattr(event, "value", 0.0))
            facts_of_step.complete.append(Labelled(request, (came,)))
        where = impression.request.event if impression else event
        campaign = impression.campaign_of(event.item_id) if impression else None
        came, value, amount = chosen or bit, 0.0, 0.0
        if isinstance(event, ActionEvent):
            came, value = (-bit, 0.0) if event.takes_back else (came, event.value)
            amount = event.paid
        facts_of_step.facts.append(
            (event.user_id, event.item_id, event.event_time_ms, 0, surface_code(where.surface),
             True, campaign, record.offset, len(facts_of_step.times_ms), float(chosen > 0), came,
             value, amount, word_codes(where.context))
        )  # fmt: skip

    def _impression_of(
        self, event: ClickEvent | ActionEvent, record: Record
    ) -> OpenImpression | None:
        """The impression that showed the item to this user, if the action's window is open."""
        impression = self._open.get((event.user_id, event.request_id)) if event.request_id else None
        if impression is None:
            return None
        shown_ms = impression.request.record.arrival_ms
        if record.arrival_ms >= shown_ms + self._window_ms[_action(event)]:
            return None
        return impression if event.item_id in impression.request.item_ids else None

    def _keep_open(self, event: ImpressionEvent, record: Record, facts_of_step: StepFacts) -> None:
        """Keep the features of now until the window closes.

        A second impression of an open request adds to the counts, not to the samples.
        """
        of_user = event.user_id, event.request_id
        if of_user in self._open:
            return
        request = ask(event, record, facts_of_step, SEQUENCE_JOINED, EVERY_ACTION)
        impression = OpenImpression(request, record.arrival_ms + self._longest_ms)
        for shown in event.items:
            impression.outcome_of[shown.item_id] = outcome_known(shown)
        self._open[of_user] = impression


def ask(
    event: Event, record: Record, facts_of_step: StepFacts, sequence: int, labelled: int
) -> SampleRequest:
    """A request that a sample is made of; its features are those that serving logged, or asked."""
    if isinstance(event, ImpressionEvent):
        item_ids = tuple(shown.item_id for shown in event.items)
        features = as_served(event.served, len(item_ids))
    else:
        item_ids, features = (event.item_id,), None
    ordinal = len(facts_of_step.times_ms)
    request = SampleRequest(event, record, item_ids, sequence, labelled, ordinal, features)
    if facts_of_step.with_requests:
        facts_of_step.requests.append(request)
    return request


def take_shown(event: ImpressionEvent, record: Record, facts_of_step: StepFacts) -> None:
    """A fact for each item; an impression is settled once it says whether it was clicked."""
    user_id, time_ms, offset = event.user_id, event.event_time_ms, record.offset
    ordinal, surface = len(facts_of_step.times_ms), surface_code(event.surface)
    words = word_codes(event.context) if WORDS else ()
    for shown in event.items:
        came = _reading(shown.told).came
        grade = shown.graded(came) if came or shown.grade is not None else 0.0
        if shown.campaign_id is not None and not event.placed:
            facts_of_step.shown_ads.append((shown.campaign_id, event.request_id))
        facts_of_step.facts.append(
            (user_id, shown.item_id, time_ms, shown.position or 0, surface,
             shown.clicked is not None, shown.campaign_id, offset, ordinal, 1.0, came,
             grade, (shown.amount_micros or 0) / MICROS, words)
        )  # fmt: skip


def charge(event: ImpressionEvent, facts_of_step: StepFacts) -> None:
    """Charge the ads that an impression shows; it counts as nothing else."""
    if not event.placed:
        ads = [one.campaign_id for one in event.items if one.campaign_id is not None]
        facts_of_step.shown_ads += [(campaign_id, event.request_id) for campaign_id in ads]


def _note(impression: OpenImpression, event: ClickEvent | ActionEvent) -> bool:
    """Change the outcome of an item as an event says; whether that changed anything.

    An action that is taken back takes its grade with it.
    """
    before, bit = impression.outcome_of.get(event.item_id, 0), BIT[_action(event)]
    takes_back = isinstance(event, ActionEvent) and event.takes_back
    if bool(before & bit) != takes_back:
        return False
    value = getattr(event, "value", 0.0)
    if value > 0 or (takes_back and bit & GRADED):
        before &= EVERY_ACTION
    after = before & ~bit if takes_back else outcome(before | bit, value)
    impression.outcome_of[event.item_id] = after
    return True


def _action(event: ClickEvent | ActionEvent) -> str:
    return CLICK if isinstance(event, ClickEvent) else event.action


def outcome_known(shown: Shown) -> int:
    """The outcome that an impression came with."""
    came = _reading(shown.told).came
    return outcome(came, shown.graded(came))


class _Reading(NamedTuple):
    """Actions that came and actions of which it is known, as bits."""

    came: int
    known: int


@cache  # of few: an action came, did not come, or is not told
def _reading(told: Told) -> _Reading:
    each = list(zip(BITS, told, strict=True))
    return _Reading(
        came=sum(bit for bit, came in each if came),
        known=sum(bit for bit, came in each if came is not None),
    )
