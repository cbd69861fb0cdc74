"""Ray Train jobs.

job.py             headrace train: one Ray Train run, started and ended
worker.py          its worker: restores, steps, saves now and then
refusal.py         why a worker will not go on, for the command to say
online.py          a step of it: read, train, guard, publish, report
recipe.py          what it trains, from the settings
sample_reader.py   records of the topic as samples, from the positions of a checkpoint
train_encoders.py  headrace train-encoders: a Ray Train run per encoder
examples.py        labelled values that an encoder is trained on
encode.py          content in, versioned vectors of every item out
arrivals.py        the same of items as they arrive
backfill.py        feature rows of a period, in Ray Data
"""
