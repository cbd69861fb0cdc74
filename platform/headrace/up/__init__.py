"""`headrace up`: every part on this machine, a log as traffic, and a view of the run.

run.py           a run, from the first file to the last process
options.py       what it was asked for
servers.py       the servers and settings of a run
parts.py         the parts as child processes
loop.py          the parts start, a log is replayed, serving goes on
run_file.py      where other terminals find it
home.py          who uses a home, and whether its disk has space
sweep.py         what a killed run left goes at the next start
interruption.py  signals end a run at whatever step it is
load.py          a light load of requests
"""
