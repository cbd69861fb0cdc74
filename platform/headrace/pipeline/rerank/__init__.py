"""Re-rankers: rules over a ranked list, one a file.

seen_last.py  items that come back for want of others, behind these
outranked.py  more than are wanted in the answer
"""
