"""Commands of the command line that look at a platform that runs.

application.py     the application file of a command
init.py            headrace init: an application file for a folder of files
check.py           headrace check: a log as it is loaded, and what looks wrong
flags.py           the flags that several commands share
dead_letters.py    headrace dead-letters: list, show, replay
evaluate.py        headrace evaluate
compare_fusion.py  headrace compare-fusion: the same ranker with each fusion, side by side
features.py        headrace features: list, describe, status
keys.py            headrace keys: create, list, revoke
room.py            commands of the rooms above the core
running.py         the platform whose settings a command takes
status.py          its parts, health, versions, lags and addresses
"""
