"""The rows of an events file as events.

log.py        the files of the log, counted once and told as often as asked
fields.py     our columns, each with the user's column and its parser
rows.py       cells turned into rows of ours, and bad rows
several.py    several items in one cell
order.py      rows in the order of time, sorted on disk where they are not
requests.py   rows of one request together, equal ones merged
visits.py     actions linked to the impressions they came of
events.py     events made of rows
tally.py      counts of all that
id_counts.py  rows by id
"""
