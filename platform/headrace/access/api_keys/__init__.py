"""API keys: issued once, kept hashed in Redis, and known to each process that checks them.

key.py    a secret, and what is kept of it
store.py  keys in Redis
ring.py   the keys that a process knows, also while Redis is away
"""
