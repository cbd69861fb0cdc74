"""The filter `locale`: items that are meant for other countries, languages or the like."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from headrace.application.condition import HasWord, value_text
from headrace.pipeline.candidates import Kept
from headrace.pipeline.context import Context
from headrace.pipeline.filters.conditions import Columns, compiled


class Elsewhere:
    """Removes items that have one of these attributes, of which the user or the request tells none
    of the values. An item without one is for everybody."""

    name: Final = "locale"

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)

    def keep(self, context: Context) -> Kept:
        """A mask over the candidates."""
        columns = Columns(context, context.candidates.row_C)
        keeps_C = np.ones(len(columns.row_N), np.bool_)
        for name in self._names:
            words = tuple(f"{name}={value}" for value in _values(name, context))
            is_free_C = ~context.catalogue.have_attribute(name, columns.row_N)
            keeps_C &= is_free_C | compiled(HasWord("attributes", words))(columns)
        return keeps_C


def _values(name: str, context: Context) -> Iterator[str]:
    """The values that the request's context or the user's attributes tell."""
    if name in context.told:
        yield value_text(context.told[name])
    for word in context.user.words:
        its, _, value = word.partition("=")
        if its == name:
            yield value
