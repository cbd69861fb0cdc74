"""The HTTP API as clients find it: under faults, overload, fuzz, and beside another platform.

__main__.py        runs one part, or all of them
parts.py           the parts by name
lost.py            events answered with 202 that are not in the log
faults.py          slates while something is killed or hangs
overload.py        twice what a platform can answer, and the way back
memory.py          what the front holds after requests nobody sane sends
requests.py        those, drawn from a seed
foreign.py         two platforms on one machine, of which one loses its replica
one_connection.py  requests one by one, also against another checkout's code
event_loop.py      how long a replica's event loop stands in one callback
platform.py        `headrace up` as clients find it
generator.py       an open-loop load, a process of its own
load.py            a running load, and the answers that it has so far
answers.py         answers as a client saw them, and figures of them
"""
