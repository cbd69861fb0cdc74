"""The readers of the topics that a replica follows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from headrace.broker.reader import LogReader
from headrace.broker.topics import Topics
from headrace.catalogue.place import Place
from headrace.config import Settings
from headrace.registry.subscriber import Subscriber
from headrace.skipped import Skipped


@dataclass(frozen=True, slots=True)
class Readers:
    """A reader of each topic."""

    models: Subscriber
    states: LogReader
    items: LogReader
    vectors: LogReader


@contextmanager
def opened(settings: Settings, place: Place, skipped: Skipped) -> Iterator[Readers]:
    """The readers until the block ends: documents from this place on, all else from its begin."""
    topics = Topics(settings.namespace)
    begin = dict.fromkeys(range(settings.stream.num_partitions), 0)
    with ExitStack() as stack:

        def reader(topic: str, start: Mapping[int, int], most: int = 2_000) -> LogReader:
            return stack.enter_context(closing(LogReader(settings, topic, start, most)))

        models = stack.enter_context(closing(Subscriber(settings, skipped)))
        states = reader(topics.item_features, begin, 20_000)
        items = reader(topics.items, place.offsets)
        yield Readers(models, states, items, reader(topics.item_vectors, begin))
