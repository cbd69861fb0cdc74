"""Ray Train jobs.

job.py            headrace train: one Ray Train run, saved now and then
online.py         its loop: read, train, guard, publish, report
recipe.py         what it trains, from the settings
sample_reader.py  records of the topic as samples, from the positions of a checkpoint
encode.py         content in, versioned vectors of every item out
backfill.py       feature rows of a period, in Ray Data
"""
