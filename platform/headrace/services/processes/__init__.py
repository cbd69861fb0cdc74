"""Child processes: started, found, owned, and ended with all that they started.

process.py     one child server: started, awaited, stopped, never left behind
session.py     ends all that a server started, when it or headrace dies
owner.py       which process something belongs to, and whether that runs
program.py     where a server's program is found
priority.py    where processors are short, requests come before background work
ray_worker.py  what Ray's worker processes begin with
"""
