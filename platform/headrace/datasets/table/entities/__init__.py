"""The rows of items and users: who is in the catalogue, and what is known of each.

source.py      the rows of a part with their ids, each id once
items.py       items, and their contents for encoders
users.py       users
properties.py  files with a row for each property, as a row for each item
limits.py      who may see an item and when: stock, window, age
media.py       where an item's picture, sound or film is
web.py         files fetched from named hosts
markup.py      the text of HTML
strangers.py   ids of the log that the catalogue does not have
"""
