"""headrace: behaviour in, fresh features and a fresh ranker out, slates and ads served.

__main__.py       where every command begins
cli.py            the commands and their flags
config.py         the settings: one frozen value, read from the environment here only
errors.py         what headrace raises on purpose
clock.py          the one place that reads the time
epoch.py          in which unit a number is a time, and when a record arrived
action.py         the table of actions of this process, of which all that knows them is made
event.py          events: the facts that enter and their JSON form
sample.py         samples: features and labels of a request's impressions
keys.py           text ids as 64-bit keys
paths.py          the folders under HEADRACE_HOME that several rooms know
skipped.py        what a part passed over because it cannot be read, counted and named
"""

__version__ = "0.1.0"
