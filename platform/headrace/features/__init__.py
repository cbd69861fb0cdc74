"""Features: one table of definitions, the aggregators behind it, and the rows they live in.

table.py        every streaming feature of this process, as features.yaml defines them
schema.py       what must be the same for a state, a sample or a version to be read
inputs.py       from states to the ranker's inputs, in training and serving alike
companions.py   of each item those that are chosen together with it
surface_trends.py  of each surface the items that are clicked most of late
segments.py        users and contexts that share a word, beside the surfaces
served.py       the features of a slate, as serving logged them
serving_key.py  the key with which replicas sign them
description.py  what the table says of a feature, in words
"""
