"""The checks of events and contexts; `headrace.event` has the events themselves.

declared.py        the inputs that the application declares: contexts, and numbers of items
faults.py          what is wrong with an event, as an error that names the field
serving_policy.py  who drew the items of a slate, as its impression names it
"""
