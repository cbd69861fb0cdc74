"""Checks of features: drift against a reference, and parity of two paths.

drift.py   null rates, means and drift of a view's numbers, mergeable
parity.py  whether two paths to the same features agree
"""
