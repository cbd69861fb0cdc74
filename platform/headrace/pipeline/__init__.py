"""The request path: named stages over one context, in pure functions of a replica's state.

stage.py        a stage; what a source and a rule are
context.py      what was asked, what is read, what the stages made so far
candidates.py   columns: rows, the sources of each, what was removed and why
run.py          stages in their order, their times, and what is done without
sessions.py     users' last sessions, and those nearest to one
given.py        candidates that the request gives
sources.py      a stage that asks sources, each for its quota
merge.py        a stage that makes candidates of what the sources found
refill.py       more candidates, where filters leave few
pace.py         how long a stage is expected to take
shortfall.py    why a slate is short, or has items that were seen, as marks
"""
