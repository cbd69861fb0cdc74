"""Re-rankers: rules over a ranked list, one a file.

outranked.py  more than are wanted in the answer
"""
