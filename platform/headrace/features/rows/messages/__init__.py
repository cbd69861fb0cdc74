"""Messages of rows of items, categories and campaigns: partial rows and merged ones.

row_messages.py     keys and values of both, decoded and encoded
ownership.py        which partition's owner merges an entity
merged_rows.py      the newest merged row of each, as readers take them
"""
