"""The parts of a request: stages in their order, and the sources and rules within them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from headrace.features.aggregation.facts import Ints
from headrace.pipeline.candidates import Kept
from headrace.pipeline.context import Context
from headrace.pipeline.pace import Pace

C = TypeVar("C", bound=Context)


@dataclass(frozen=True, slots=True)
class Stage(Generic[C]):
    """A named step of a request: it reads the context and writes its results into it.

    `without` is the mark of an answer that had to do without this stage, because it failed or its
    turn came after `deadline_ms` since the request's begin. No answer is given without a stage
    that has no mark. `late` is the mark of one that is done without where it would end after the
    deadline of the request, by its `pace`.
    """

    name: str
    work: Callable[[C], None]
    without: str = ""
    deadline_ms: float = math.inf
    late: str = ""
    pace: Pace | None = None

    def __post_init__(self) -> None:
        assert self.without or self.deadline_ms == math.inf, f"{self.name}: a deadline needs a mark"


class Source(Protocol):
    """Proposes candidates."""

    @property
    def name(self) -> str: ...

    def candidates(self, context: Context, limit: int) -> Ints:
        """At most so many distinct catalogue rows, the best first, and never row 0."""
        ...


class Rule(Protocol):
    """A filter, or after the rank a re-ranker: removes candidates, or puts them in another order.

    What it removes has its name as the reason.
    """

    @property
    def name(self) -> str: ...

    def keep(self, context: Context) -> Kept:
        """The candidates that stay, as a mask, or as places in their new order."""
        ...


class Rules:
    """The work of a stage that applies rules, one after the other."""

    def __init__(self, *rules: Rule) -> None:
        self._rules = rules

    def __call__(self, context: Context) -> None:
        for rule in self._rules:
            context.candidates.keep(rule.keep(context), rule.name)
