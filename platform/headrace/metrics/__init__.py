"""How good predictions are: every metric has a state, and the states of workers add up.

binary.py      AUC, normalised entropy and calibration of probabilities
grouped.py     AUC within groups, such as a user's day
ranking.py     recall, NDCG and MRR of ranked lists
confusion.py   accuracy, precision, recall and F1 of decisions
bootstrap.py   how sure a difference between two models is
off_policy.py  what another policy would have earned on logged propensities
latency.py     durations in a mergeable histogram
"""

from typing import Final

from headrace.metrics.binary import Scores

ALL: Final = "all"  # the name of everything, where there are scores of parts of it
NEW: Final = 5  # impressions so far of a user or item that is still new
DRAWN_TOP: Final = 2  # places that count among what was drawn: five candidates by default

__all__ = ["ALL", "DRAWN_TOP", "NEW", "Scores"]
