"""Answers as a client saw them, and the figures of a series of them. Nothing here does I/O."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec

LASTING_S = 3


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """One answered request of an open-loop load.

    `due_s` is when it was to be sent, on the monotonic clock of this machine; `took_s` runs from
    then to the last byte. `status` is 0 where nothing was answered, and `note` says why; else it
    has the marks of a slate or the error.
    """

    number: int
    due_s: float
    took_s: float
    status: int
    is_valid: bool  # the document is of the right kind
    note: str = ""

    @property
    def done_s(self) -> float:
        """When its last byte came."""
        return self.due_s + self.took_s


class Deadline(msgspec.Struct, frozen=True):
    """The longest time after which an answer is of use, and the status of a success."""

    seconds: float
    status: int = 200

    def met_by(self, answer: Answer) -> bool:
        """Whether this is a good answer: in time, a success, and valid."""
        in_time = answer.took_s <= self.seconds
        return answer.status == self.status and answer.is_valid and in_time


def between(answers: Iterable[Answer], start_s: float, end_s: float) -> list[Answer]:
    """The answers that were due in this interval, in the order in which they were."""
    return sorted(
        (answer for answer in answers if start_s <= answer.due_s < end_s),
        key=lambda answer: answer.due_s,
    )


def quantile(values: Iterable[float], share: float) -> float:
    """The nearest-rank quantile; NaN of nothing."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def share_good(answers: Sequence[Answer], deadline: Deadline) -> float:
    """The share of good answers; NaN of nothing."""
    if not answers:
        return math.nan
    return sum(map(deadline.met_by, answers)) / len(answers)


def outage_s(answers: Sequence[Answer], deadline: Deadline) -> float:
    """Seconds from the first bad answer to the first good one that no bad one follows.

    Answers are in order. Where the last one is bad, it is the time up to that.
    """
    bad = [place for place, answer in enumerate(answers) if not deadline.met_by(answer)]
    if not bad:
        return 0.0
    back = min(bad[-1] + 1, len(answers) - 1)
    return answers[back].due_s - answers[bad[0]].due_s


def recovery_s(
    answers: Sequence[Answer], from_s: float, usual_p50_s: float, deadline: Deadline
) -> float:
    """Seconds after `from_s` until slates are as usual for `LASTING_S`, or the answers end.

    Usual is a second whose answers are good and whose p50 is at most half above `usual_p50_s`.
    """
    seconds: dict[int, list[Answer]] = {}
    for answer in answers:
        if answer.due_s >= from_s:
            seconds.setdefault(int(answer.due_s - from_s), []).append(answer)
    num_usual = 0
    for number in sorted(seconds):
        found = seconds[number]
        p50_s = quantile((one.took_s for one in found), 0.5)
        is_usual = p50_s <= 1.5 * usual_p50_s and share_good(found, deadline) == 1
        num_usual = num_usual + 1 if is_usual else 0
        if num_usual == LASTING_S:
            return float(number + 1 - LASTING_S)
    return float(max(seconds, default=0) + 1)


def lost(acknowledged: Iterable[str], logged: Iterable[str]) -> list[str]:
    """The ids of events that were answered with 202 and are not in the log."""
    return sorted(set(acknowledged) - set(logged))
