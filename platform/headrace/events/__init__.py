"""The checks of events; `headrace.event` has the events themselves.

faults.py  what is wrong with an event, as an error that names the field
"""
