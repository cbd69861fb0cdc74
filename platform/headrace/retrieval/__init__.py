"""Retrieval: the sources of candidates, one a file.

trending.py         items that were clicked most of late
best_categories.py  those of the user's best categories
"""
