"""A dataset evaluated: its events through the stream's own code, by a learner or a version.

run.py            one pass, by a learner of its own or a published version
survey.py         where the test begins, and whether it can be judged
cases.py          samples as the stream makes them, with outcomes hidden for a while
delayed_facts.py  a partition that learns what events say some time after them
evaluation.py     a learner that goes through them
published.py      a published version, as a replica has it
"""
