"""Feast behind one adapter; importing it prepares the first import of Feast.

command.py        headrace feast: Feast's own command line
servers.py        which of Feast's servers may listen where
online_store.py   packed rows behind Feast's API: its online store
columns.py        columns of the views of any Feast store
request.py        what Feast asks for, as rows to read and commands that write
value.py          Feast's values as columns, and back
response.py       Feast's answer to a read, made from columns
first_import.py   what Feast is to find, so that it is imported fast
views.py          Feast's entities, sources and views, made from headrace's own views
materialization.py  Feast's `apply` and `materialize`
offline_store.py  behind Feast's API: training sets as of each request
entity_frame.py   what these requests may look like, and whose rows they ask for
"""

from headrace.feast_adapter import first_import as first_import
