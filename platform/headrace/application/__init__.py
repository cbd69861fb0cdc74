"""The application file: a team's own words about its shop, checked as a whole.

action.py       an action: the fields of a row, its rules, and the rows that are built in
document.py     headrace.yaml, found and parsed
reading.py      keys and values of a section, with the path of each that is wrong
declared.py     the fields of a request's context, and attributes that are numbers
seen.py         whether a user is shown an item again, and when
sources.py      who proposes candidates, how many, and how their ranks order slates
exploration.py  by which policy slates show items that the ranker would not
condition.py    boolean rules over the attributes of an item
reranking.py    rules over the ranked list, and the weights that a request may tell
filters.py      conditions that an item has to meet, and what is shown to nobody
sections.py     the sections beside the mapping of columns, and the problems of all of them
current.py      the application of this process, read once from HEADRACE_APP
"""
