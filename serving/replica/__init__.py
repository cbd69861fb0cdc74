"""A replica's memory: models and item states, kept fresh in the background.

    snapshot.py      the versions and the items' states of one moment, for one request
    readers.py       the readers of the topics
    models.py        a published version, ready to rank
    group_states.py  the categories' and authors' accumulators, for crosses
    item_states.py   the items' accumulators
    state_pages.py   states that are copied a page at a time
    content.py       the items' content vectors
    towers.py        their vectors by the two towers
    follow.py        the thread that follows the topics

A request takes one snapshot and reads nothing else of this.
"""
