"""How well a ranker predicts a log that it has never seen.

`dataset/` evaluates whatever a loader reads, `files/` impressions in KuaiRand's columns; both make
rows (`row.py`), which `progressive.py` scores and learns, and `quality.py` judges.
"""
