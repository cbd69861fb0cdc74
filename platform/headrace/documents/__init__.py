"""Documents of items and users on their topics: written, read, and followed.

document.py   items and users as they are told: their JSON form, and its check
messages.py   documents, parts and removals as messages, and back
items.py      an item as its document, and back
follower.py   items as the topic tells them, for whoever has a table of them
followed.py   the items' table of a process that follows the topic behind its snapshot
exchange.py   documents as lines of JSON: a file into a topic, and back
archived.py   messages about items and users as versions over time
history.py    versions of items and users over time, as rows
feed.py       a whole catalogue into the topics: who is new, other or gone
"""
