"""Definitions of features: features.yaml, read and checked as a whole.

files.py      the built-in file and a shop's own, put together
templates.py  rows that stand for one of each action
kinds.py      the vocabulary: kinds of accumulators and aggregators, with their keys
kept.py       the section `accumulators`
rows.py       the section `features`
"""
