"""Policies evaluated on impressions that another one has shown, with known propensities.

command.py  the flag of headrace evaluate, and its answer
logged.py   the impressions of a dataset that tell their propensity
target.py   the policies that may be asked about, and a file of one's own
rewards.py  the model of rewards of the doubly robust estimate, cross-fitted
run.py      the estimates with their intervals, or why there are none
"""
