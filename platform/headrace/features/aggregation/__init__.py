"""Aggregation: facts into accumulators, and accumulators into feature values.

facts.py         what events say about entities, in columns
accumulators.py  what is kept of an entity's facts: sums, windows, decay, extremes
sequence.py      the last outcomes of an entity, and its session
sketches.py      distinct items, sums per category slot
top_items.py     the items with the greatest sums
aggregators.py   how what is kept becomes the value of a feature
by_word.py      sums by surface, or by a word of the context
asked.py        requests, their candidates and the states of both, in columns
crosses.py       views of a user's state through what one request asks about
floats.py        the floats in records, looked at together
plan.py          which views are read once, and which rates are made together
layout.py        all features of an entity over one state, as of any fact
"""
