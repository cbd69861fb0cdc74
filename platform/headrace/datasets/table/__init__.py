"""A user's own files, described by the mapping in `headrace.yaml`.

loader.py    your own files as a dataset
mapping.py   which file and column is what
fitting.py   whether a mapping fits its files
bad_rows.py  rows that were left out, counted and a few shown
sniff.py     how a file that nobody described seems to be written
guess.py     what the cells of a column seem to be
"""
