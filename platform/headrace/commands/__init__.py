"""Commands of the command line that look at a platform that runs.

keys.py      who may use its API
running.py   the platform whose settings a command takes when none are given
status.py    its parts, health, versions, lags and addresses
"""
