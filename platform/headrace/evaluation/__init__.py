"""How well a ranker predicts a log that it has never seen.

    row.py          what an evaluation asks of a row, whatever log it comes from
    days.py         local dates, and when they begin
    progressive.py  score first, then train on what has become visible
    quality.py      what the predictions were worth, per label and slice
    intervals.py    how sure that is
    report.py       the figures as tables
    progress.py     how far the pass is

`policy/` estimates what another policy would have earned on impressions with propensities.
`dataset/` evaluates whatever a loader reads, `files/` impressions in KuaiRand's columns; both make
rows (`row.py`), which `progressive.py` scores and learns, and `quality.py` judges. `slates/` asks
the stages of a request for slates. `audio/` trains sound encoders and judges them over folds.
"""
