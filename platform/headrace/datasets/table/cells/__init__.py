"""Cells of a user's files turned into values of ours; a `Fault` says why one cannot be.

cell.py     one cell: ids, numbers, yes or no, lists, pictures
number.py   numbers with units, currency and separators
clock.py    times
column.py   a whole column, at the speed of Arrow where its cells are as they should be
moments.py  a whole column of times
"""
