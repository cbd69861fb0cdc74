"""Item factors: a Bayesian matrix factorisation of outcome grades.

item_factors.py      what everybody made of items, and what a few outcomes say of a user
factor_log.py        the rows that these are fitted on
attribute_priors.py  what is expected of a user before any outcome
"""
