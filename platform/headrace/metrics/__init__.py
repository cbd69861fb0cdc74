"""How good predictions are: every metric has a state, and the states of workers add up."""

from headrace.metrics.binary import Scores

__all__ = ["Scores"]
