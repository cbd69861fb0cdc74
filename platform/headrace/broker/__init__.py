"""The event log: topics, records, readers and writers on a Kafka broker.

topics.py          the topics: how each is made, and the check of those that are there
writer.py          acknowledged writing
reader.py          reading by position
waiting_client.py  the network client of producers: it waits without using a processor
log_sender.py      sending for whoever must not wait: each batch acknowledged, or failed in time
spool.py           messages on disk that wait for the broker
partitioner.py     which partition a key belongs to
log_watch.py       whether a topic that is read is still the one, and has what is asked of it
record.py          messages as they lie in the log
kafka_records.py   these out of the batches that were fetched
uncompress.py      what compressed batches hold, up to a bound
"""
