"""Layers: the parts of the ranker's network.

item_tower.py        an item's content and id, once per weight version
fusion.py            ten ways to make one vector of an item's modalities
surface.py           where a request is made, as an input
user_tower.py        a causal transformer over the past events, once per request
indexing.py          rows of a table by number
target_attention.py  what each candidate finds in its user's history
similarity.py        how a candidate's content compares with that of the past events
cross.py             gated products of features
heads.py             experts and gates per head; the position's bias, in training only
last_layer.py        what is added to the logits: linear in all that the network computes
scale.py             the running scale of the dense features
"""
