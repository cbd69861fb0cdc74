"""Files of impressions evaluated, in the columns of KuaiRand, whose labels may be no actions.

run.py          one pass, by a learner of its own
log.py          the flags that name them, and the rows in the order of time
impressions.py  what is checked before anything is learned
visibility.py   each row with its features as of its time, from outcomes a minute old
evaluation.py   a learner that goes through them
inputs_file.py  what the ranker saw, for other models
"""
