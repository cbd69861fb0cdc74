"""The API: requests and answers, and where a client on this machine finds it.

slate.py  what serving is asked and what it answers
front.py  the platform's own API, as headrace's own commands ask it
"""
