"""A look at a whole dataset before anything is learned: where the test begins, and whether it can
be judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from headrace.action import ACTIONS, CLICK, TABLE
from headrace.catalogue.item import Dataset
from headrace.errors import ConfigError, DatasetError
from headrace.event import ActionEvent, ClickEvent, Event, ImpressionEvent, Shown
from headrace.stream.step.negatives import chosen_as

MAX_SURFACES: Final = 64


@dataclass(slots=True)
class Survey:
    """The impression counts of both parts, their surfaces, and the outcome counts of the test."""

    test_ms: int  # of the first event of the test
    num_train: int = 0
    num_test: int = 0
    num_train_choices: int = 0  # events that say by themselves that an item was chosen
    num_choices: int = 0  # of them in the test
    surfaces: set[str] = field(default_factory=set)
    shows_lists: bool = False  # requests of the test show several items
    outcomes: Counter[tuple[str, bool]] = field(default_factory=Counter)  # by action, in the test

    def has_both(self, label: str) -> bool:
        """Whether the test has impressions of which the action came, and others."""
        return all(self.outcomes[label, outcome] for outcome in (True, False))

    @property
    def num_impressions(self) -> int:
        return self.num_train + self.num_test


def check_labels(labels: Sequence[str]) -> None:
    """Raises `ConfigError` unless these are different actions."""
    unknown = [label for label in labels if label not in ACTIONS]
    if unknown or not labels:
        named = ", ".join(map(repr, unknown)) or "none"
        raise ConfigError(f"--labels: got {named}; expected some of {', '.join(ACTIONS)}")
    if len(set(labels)) != len(labels):
        raise ConfigError(f"--labels: {', '.join(labels)} names a label twice; name each once")


def test_start_ms(dataset: Dataset, test_from_ms: int | None, share: float) -> int:
    """The first moment of the test: as given, else the one after that in which the train has got
    its share of the events. Raises `ConfigError` for one that is outside of the log."""
    if test_from_ms is not None:
        if not dataset.start_ms < test_from_ms <= dataset.end_ms:
            raise ConfigError(
                f"--test-from {_iso(test_from_ms)}: the log of {dataset.name} goes from "
                f"{_iso(dataset.start_ms)} to {_iso(dataset.end_ms)}; expected a time within"
            )
        return test_from_ms
    if not 0 < share < 1:
        raise ConfigError(f"--test-share {share:g}: expected more than 0 and less than 1")
    num_train = max(int((1 - share) * dataset.num_events), 1)
    return next(islice(dataset.events(), num_train - 1, None)).event_time_ms + 1


def survey(dataset: Dataset, start_ms: int, learns: bool) -> Survey:
    """Looks at every event; raises `DatasetError` where there is nothing to test, or nothing to
    learn from."""
    found = Survey(dataset.end_ms)
    for event in dataset.events():
        is_test = event.event_time_ms >= start_ms
        if is_test:
            found.test_ms = min(found.test_ms, event.event_time_ms)
        if isinstance(event, ImpressionEvent):
            _take_impression(found, event, is_test)
        elif chosen_as(event):
            _take_choice(found, event, is_test)
        if is_test:
            found.outcomes.update(_outcomes(event))
    name, at = dataset.name, _iso(found.test_ms)
    if not found.num_test and not found.num_choices:
        raise DatasetError(
            f"{name}: no impressions from {at} on, where the test begins, and nothing that was "
            "chosen: choose an earlier time, or another log"
        )
    if learns and not found.num_train and not (found.num_train_choices and not found.num_test):
        raise DatasetError(f"{name}: no impressions before {at}, where the test begins, to learn")
    return found


def check_classes(name: str, found: Survey, labels: Sequence[str]) -> None:
    """Raises `DatasetError` for a label of which the test has one class only."""
    for label in labels:
        for outcome, verb in ((True, "has"), (False, "lacks")):
            if not found.outcomes[label, outcome]:
                raise DatasetError(
                    f"{name}: one class only: no impression from "
                    f"{_iso(found.test_ms)} on {verb} the action {label!r}, so that its "
                    "prediction cannot be judged; choose another label (--labels) or another time"
                )


def _take_impression(found: Survey, event: ImpressionEvent, is_test: bool) -> None:
    if len(found.surfaces) < MAX_SURFACES:
        found.surfaces.add(event.surface)
    if is_test:
        found.num_test += len(event.items)
        found.shows_lists |= len(event.items) > 1
    else:
        found.num_train += len(event.items)


def _take_choice(found: Survey, event: Event, is_test: bool) -> None:
    if len(found.surfaces) < MAX_SURFACES:
        found.surfaces.add(event.surface)
    if is_test:
        found.num_choices += 1
    else:
        found.num_train_choices += 1


def _outcomes(event: Event) -> Iterator[tuple[str, bool]]:
    """The outcomes that an event tells of impressions: each action, and whether it came."""
    match event:
        case ImpressionEvent():
            for shown in event.items:
                yield from _outcomes_of(shown, event.outcome_known)
        case ClickEvent():
            if event.request_id:
                yield CLICK, True
        case ActionEvent():
            if event.request_id:
                yield event.action, True


def _outcomes_of(shown: Shown, known: bool) -> Iterator[tuple[str, bool]]:
    for row in TABLE:
        told = getattr(shown, row.field) if row.field else (shown.outcomes or {}).get(row.name)
        if told is not None or not known:  # what has not come yet, mostly never does
            yield row.name, bool(told)


def _iso(time_ms: int) -> str:
    whole_s = time_ms % 1_000 == 0
    time = datetime.fromtimestamp(time_ms / 1_000, UTC)
    return time.isoformat(timespec="seconds" if whole_s else "milliseconds").replace("+00:00", "Z")
