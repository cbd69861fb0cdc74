"""A dataset evaluated: its events through the stream's own code, by a learner or a version.

run.py                one pass, by a learner of its own or a published version
asked.py              what is asked of it
survey.py             where the test begins, and whether it can be judged
cases.py              samples as the stream makes them, with outcomes hidden for a while
delayed_facts.py      a partition that learns what events say some time after them
evaluation.py         a learner that goes through them
published.py          a published version, as a replica has it
next_items.py         a log without impressions: the catalogue ranked before each choice
next_items_run.py     by a learner of its own or a published version
next_items_report.py  how far ahead what came was, beside the most popular of the run
catalogue_ranking.py  the whole catalogue ranked for one user at one time
"""
