"""Exploration: which places of a slate show an item that the ranked list would not put there, and
how probable it was.

mixture.py   the draw of each place, and its probabilities in closed form
estimate.py  how often draws of the scores put an item at a place
explore.py   the stage: the policy's slate with the propensity of each item
draws.py     a request's own random numbers
"""
