"""How good predictions are: every metric has a state, and the states of workers add up."""

from typing import Final

from headrace.metrics.binary import Scores

ALL: Final = "all"  # the name of everything, where there are scores of parts of it

__all__ = ["ALL", "Scores"]
