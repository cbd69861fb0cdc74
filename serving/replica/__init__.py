"""A replica's memory: models and item states, kept fresh in the background.

    snapshot.py     the versions and the items' states of one moment, for one request
    catalogue.py    the items that can be recommended, as rows
    models.py       a published version, ready to rank
    item_states.py  the items' accumulators, and which items trend
    follow.py       the thread that follows the topics

A request takes one snapshot and reads nothing else of this.
"""
