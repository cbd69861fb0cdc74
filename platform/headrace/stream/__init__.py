"""The stream: validated events in; feature rows, labelled samples and dead letters out.

memory.py        freed memory is kept for the next step
dead_letter.py   events that were not accepted, as messages that always fit
assignment.py    which worker owns which partitions
source_log.py    the log that the commits belong to
worker.py        owns partitions, and takes in their events
catalogue.py     items and users as their topics tell, into its tables and the online store
owner.py         merges what all partitions say of the worker's own items
published.py     what of that was published before
delivery.py      what that leads to, to the topics, the store and the commits
job.py           the workers as Ray actors, kept alive
redis_watch.py   whether Redis still keeps the rows, while the stream runs
"""
