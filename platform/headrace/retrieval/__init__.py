"""Retrieval: the sources of candidates, one a file, each with a function `source`.

trending.py         items that were clicked most of late
trending_here.py    those that were on the surface of the request
segment.py          those that the user's and the context's segments click
best_categories.py  those of the user's best categories
covisited.py        those that were chosen in sessions with some items
neighbours.py       those of the sessions nearest to the user's
same_categories.py  those of the categories of some items
factors.py          those that the user's item factors expect most of
two_tower.py        those that two towers expect to be chosen next
content.py          those whose content is near to that of some items
fresh.py            new ones that were shown seldom
editorial.py        those of a list in the application file
"""
