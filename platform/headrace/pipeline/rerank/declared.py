"""The re-rankers that an application file declares, and those that every slate has."""

from __future__ import annotations

from typing import Final

from headrace.application.exploration import Exploration
from headrace.application.reranking import Reranking
from headrace.pipeline.exploration.explore import Explore
from headrace.pipeline.rerank.boosts import Boosts
from headrace.pipeline.rerank.diversity import Diverse
from headrace.pipeline.rerank.over_cap import OverCap
from headrace.pipeline.rerank.pinned import Pins
from headrace.pipeline.rerank.seen_last import SeenLast
from headrace.pipeline.stage import C, Rules, Stage

GREEDY: Final = Explore(Exploration())


def boosted(told: Reranking) -> tuple[Stage[C], ...]:
    """The stage of the boosts, where there are any."""
    return (Stage("boosts", Rules(Boosts(told.boosts))),) if told.boosts else ()


def reranked(told: Reranking, explore: Explore = GREEDY) -> tuple[Stage[C], ...]:
    """The stages behind the rank: diversity may be done without, rules may not."""
    diverse: tuple[Stage[C], ...] = ()
    if told.diversity and told.diversity.strength:
        diverse = (Stage("diversity", Rules(Diverse(told.diversity)), late="no_diversity"),)
    caps = [OverCap(told.caps)] if told.caps else []
    pins = [Pins(told.pins)] if told.pins else []
    rules = Rules(SeenLast(), *caps, *pins)
    return (*boosted(told), *diverse, Stage("rerank", rules), Stage("explore", explore))
