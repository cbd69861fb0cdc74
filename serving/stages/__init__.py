"""Stages that need a replica: its store, its model, its catalogue and its budgets.

context.py  the context of a request to a replica, and the envelope of answers
asked.py    the context of a request for items, out of its fields
hydrate.py  reads the user
logged.py   the impression of an answer
answer.py   the items of a slate, and its impression
auction.py  campaigns, targeting, and the auction with its prices
reservations.py  the prices of ads, out of their budgets
"""
