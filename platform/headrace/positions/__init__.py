"""Positions: how far each partition of the log was processed, kept beside the rows.

commit.py  how far a partition was processed, and what it counted
store.py   commits in Redis, fenced by epochs
"""
