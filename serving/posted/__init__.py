"""Bodies that clients post beside requests: all of one is taken, or nothing.

events.py     behaviour
documents.py  items and users: put, changed, asked for, taken away
parts.py      the parts of a body: one, or several in an array
"""
