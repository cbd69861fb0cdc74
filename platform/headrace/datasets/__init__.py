"""Loaders: each turns one kind of log into typed events and a catalogue.

replay.py             a log as live traffic
inspection.py         the counts of a log, and what looks wrong with it
registry.py           the datasets by name, and which of them a folder holds
globo.py              clicks on news
openbandit.py         the small Open Bandit Dataset
openbandit_policy.py  its Bernoulli Thompson sampling, as a table of probabilities
"""
