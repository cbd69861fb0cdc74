"""The ranker, in plain torch: tables, towers, calibration, batches. Nothing here knows Ray.

ranker.py        FuseRank: content and behaviour in, logits per head and candidate out
item_factors.py  vectors of items, and the parts of users solved over their history
factor_vectors.py  these as an index, and a user's vector to search it with
two_tower.py     a vector of each item and one of each user: what is chosen next
tower_vectors.py  these as an index, and a user's vector to search it with
config.py        its sizes (nano, base, large), heads and learning rates
explain.py       why a candidate got its logit
labels.py        what a sample tells the heads
drawn.py         what it tells of items that were drawn beside a chosen one
word_bags.py     bags of words, one after the other
batch.py         requests as the tensors that the ranker reads
calibration.py   from logits to probabilities, per surface and head, streaming

Folders: embedding/ tables, layers/ parts of the network, inference/ its forward for one request.
"""
