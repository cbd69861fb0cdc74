"""The catalogue: items and users, their contents, and the vectors made of these.

vector_table.py  the items' vectors on disk, by encoder and version
words.py         words, categories and attributes as keys; content vectors
vectors.py       what the encoders made of the items, by item key
hashing.py       keys into buckets and into signs
numbers.py       attributes that are declared as numbers
counts.py        counts of a log and its catalogue, as a loader took them
item.py          an item, a user, and a dataset: what a loader returns
files.py         items and users on disk
place.py         how far a copy of the items has followed their topic
content_index.py  content vectors of a whole catalogue, and the nearest of them
content.py       what encoders read of the items, on disk
columnar.py      published files as Arrow columns
"""
