"""Learning: losses, the online learner, and the guard over its versions.

last_layer_fit.py   how the last layer is solved, in one pass
loss.py             a loss per kind of head, over the labels that are known
adagrad.py          the optimizer of the dense weights
learner.py          scores each batch first, then trains on it, once
guarded_learner.py  a learner whose samples are limited and whose versions are guarded
encoder_fit.py      how an encoder is trained by labels, an epoch at a time
two_tower_fit.py    how two towers learn which of many items is chosen
share_limit.py      how much of what is learned may come from one request, user or item
choices.py          where the chosen came among what was drawn, progressively
slices.py           progressive scores of what is new, and by surface
guard.py            whether a version may be published, by how it scored of late
"""
