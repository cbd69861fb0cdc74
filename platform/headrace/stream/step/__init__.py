"""One step of the stream: records in, effects out, without any input or output.

partition.py       what the events of one partition do, without input or output
intake.py          records as events, or as the reasons why they are none
dedupe.py          whether an event was seen before
join.py            which outcomes belong to which impression
negatives.py       what is drawn beside a positive that no impression showed
samples.py         samples out of labelled requests
log_time.py        how late it was at each record, whatever a few of them say
facts_of_step.py   what the events of one step say, in columns
partition_rows.py  the rows that these change, and features as of just before a request
covisits.py        pairs of items that a user chose in one session
seen_items.py      what users have seen, for the lists of their last items
batch_path.py      partitions over records from anywhere, without servers
"""
