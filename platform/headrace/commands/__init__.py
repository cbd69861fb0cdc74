"""Commands of the command line that look at a platform that runs.

keys.py      who may use its API
"""
