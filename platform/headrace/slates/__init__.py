"""Slates: the stages of a request for a slate, as far as they need no replica.

stages.py        the list of stages, for whoever reads users and answers
source_table.py  the sources by name, with the quotas of the application file
rank.py          the stage that asks the model
blend.py         the stage that weighs ranker and sources, and the fit of its weights
draws.py         scores that candidates may have, for all that the model knows
value.py         scores, of probabilities and of values
cached_items.py  the items that a version has read, computed once
windows.py       windows of clicks, out of items' states
trending.py      the rows that were clicked most of late
fresh.py         new ones that were shown seldom
"""
