"""Filters: rules that take candidates out before they are ranked, one a file.

availability.py  items that are sold out, outside of their time, or too adult
declared.py      the filters that every list of items has
conditions.py    items that do not meet a condition of the application file or the request
locale.py        items that are meant for others
hidden.py        items that an action of the user's hides
seen.py          items that the user has seen, as a policy says
excluded.py      items that the request does not want
over_quota.py    more than the sources' shares, or than are ranked
"""
