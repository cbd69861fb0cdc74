"""Slates evaluated: the stages of a request asked for one before each positive of a log.

run.py        one pass over a dataset, and its report
command.py    `headrace evaluate --slates`
asked.py      the options
learner.py    the learner, and the model that its weights are
points.py     where slates are asked for, what is known of users there, and what comes next
replica.py    the stream, the learner and the stages of a request, in one process
snapshot.py   what a request reads of them
baselines.py  lists of the most popular, beside slates
sessions.py   lists by sessions: co-visitation, next item, session neighbours
figures.py    HR, MRR and NDCG of lists, by groups of users
beyond.py     coverage, diversity, novelty, fresh items, popularity bias
report.py     the figures as tables
"""
