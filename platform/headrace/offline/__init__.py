"""The offline store: the messages of the topics as Parquet files, and the data derived from them.

materialize.py       the catalogue on disk, feast apply, features and vectors into the online
                     store
folder.py            which files there are, and how they come and go
period.py            a period of event times
tables.py            messages of the topics as tables, and back
archive.py           the part that writes them
sources.py           past events: the archive, the topic, a dataset
backfill.py          feature rows of a period computed anew
start_state.py       the state that a namespace begins with, as files
start.py             puts that state into the online store and the topic
archived_samples.py  archived features of requests, and impressions with their propensities
parity_check.py      archive and online store against a replay
parity_report.py     the report of that
"""
