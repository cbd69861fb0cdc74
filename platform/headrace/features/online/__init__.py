"""The online store of headrace's own views, read and written without Feast.

A process that streams, serves or explains needs the rows and nothing of Feast, whose import takes
seconds. `headrace.feast_adapter` makes Feast's views of these, and Feast reads and writes the same
rows through it; `tests/feast_adapter/test_own_views.py` compares the two.

views.py          the views as data: names, join keys, columns
configuration.py  feature_store.yaml: the project, and where its online store is
store.py          users' and items' rows in Redis
"""
