"""Settings: the rooms that they are sorted into, and how they are written in the environment.

room.py       the base of every room: frozen, without unknown fields, silent about secrets
rooms.py      the settings of stream, training and serving; those of Kafka and HTTP are in access/
variables.py  the fields by flat name, their variables, and variables that are no settings
seen.py       the policy of seen items, read from its text
text.py       from text to value and back, and what text a setting may have
"""
