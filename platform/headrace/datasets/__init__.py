"""Loaders: each turns one kind of log into typed events and a catalogue.

replay.py      a log as live traffic
registry.py    the datasets by name, and which of them a folder holds
openbandit.py  the small Open Bandit Dataset
"""
