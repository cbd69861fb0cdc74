"""Supervision: processes and symptoms watched, and dead processes restarted.

watch.py       the watch over processes, symptoms and totals
supervisor.py  what died is started again, in the order they need each other
restarts.py    how often, and after which pauses
symptoms.py    what is wrong though all processes run
health.py      whether HTTP answers, and whether it is this platform's
"""
