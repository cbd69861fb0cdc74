"""A draft of an application file, guessed from the files in a folder; nothing is loaded by it.

words.py     words in the names of columns and in values, by what they mean
choice.py    what is guessed for a key, why, and whether a person has to say it
files.py     which files are events, items and users
events.py    the columns of events: who, which item, when, and what came of it
outcomes.py  the columns that say what came of an event
entities.py  the columns of items and of users
page.py      the draft as a commented YAML file
draft.py     the whole draft of a folder
"""
