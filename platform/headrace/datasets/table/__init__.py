"""A user's own files, described by a small YAML file.

loader.py   your own files
mapping.py  headrace.yaml: which column is what
file.py     a file, row by row
cell.py     a cell, checked
log.py      rows put together into impressions
"""
