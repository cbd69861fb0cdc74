"""Re-rankers: rules over a ranked list, one a file.

declared.py   the stages behind the rank, as an application file declares them
boosts.py     scores times a factor
diversity.py  the best that differ
over_cap.py   so many of one category, brand or author
pinned.py     items that stand at a position
seen_last.py  items that come back for want of others, behind these
outranked.py  more than are wanted in the answer
"""
