"""The table of items: columns instead of objects, rows that are reused, and its file.

table.py      items as rows, found by id and by key
columns.py    an item as the values of its columns, and back
key_index.py  row numbers for keys, without collisions
ragged.py     a column of values of different lengths
snapshot.py   the table as an Arrow file, mapped by all who read it
shared.py     the one file of a catalogue, made by whoever needs it first
"""
