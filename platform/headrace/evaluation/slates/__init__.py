"""Slates evaluated: the stages of a request asked for one before each positive of a log.

run.py        one pass over a dataset, and its report
command.py    `headrace evaluate --slates`
asked.py      the options
blending.py   weights of the ranker and of sources, fitted on the way
learner.py    the learner, and the model that its weights are
points.py     where slates are asked for, with users as they are and choices to come
replica.py    the stream, the learner and the stages of a request, in one process
snapshot.py   states by catalogue row, for one request
baselines.py  plain lists beside slates: the most popular, and those by sessions
figures.py    HR, MRR and NDCG of lists, by groups of users
beyond.py     coverage, diversity, novelty, fresh items, popularity bias
report.py     the figures as tables
"""
