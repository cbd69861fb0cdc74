"""Measurements: each a ratio against a baseline of the same run, or a report of a whole run.

__main__.py         the benchmarks by name
outside.py          larger data and Apache Kafka, as the environment names them
pairs.py            ratios against a baseline of the same run
features.py         the benchmark named features
features_store.py   the online store, against raw Redis and Feast's own store
features_stream.py  events into features in Redis, against a bare consumer
stream.py           events through a partition, against decoding them
embedding.py        a dynamic table, against nn.Embedding
ranker.py           training and scoring, against FuxiCTR's DIN
likes.py            MovieLens as likes only: the next one of the whole catalogue
shops.py            invented shops whose logs tell little, in two ways each
draws.py            what samples and drawn items cost the stream
quality.py          FuseRank, LightGBM, DIN and DCNv2 side by side, with intervals
quality_logs.py     the logs of that, as files of headrace evaluate
quality_rankers.py  FuseRank in all regimes and seeds, and what it saw
quality_scores.py   what predictions are worth, and which differences are sure
parity.py           features by the stream's path and by the batch path
kills.py            kill -9 under load, and a recount
stream_load.py      a stream under load, whose parts can be killed
load_files.py       a user's own log from CSV and Parquet: rows a second, and memory
load_events.py      events for it, and a recount of its log
passing_items.py    items that come and go meanwhile
stream_rows.py      the rows that it wrote, as counts
plain_draws.py      what is drawn beside a positive, worked out from the log alone
two_nodes.py        a Ray cluster of two nodes, of which one can be lost
faults.py           faults outside of headrace, and what they do: the three below
junk.py             junk in every topic and key, beside good events
poison.py           what a sender and a pace do to the learner
newids.py           what ids that nobody has seen cost in memory
index.py            the nearest of a million vectors: recall, times, bytes
catalogue.py        a million items: starts, memory, and updates beside requests
catalogue_arrivals.py  how soon slates show what came and went
catalogue_log.py    generated items, and a log of some
exploration.py      a new item in a simulated shop, and what exploring costs
cold_start.py       new users in a simulated shop, request by request
start.py            the start of `headrace up`, against the import of what it runs on
loop.py             the whole loop, as `headrace up --once` reports it
"""
