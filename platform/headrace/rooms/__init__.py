"""Rooms: the folders that stand on the core, found in a checkout and in an installed headrace.

folder.py    where they are, and how Python finds them
__main__.py  runs a module of one

A wheel has serving/, trainers/ and feature_repo/ in this folder, beside these files: so none of
them is a package of site-packages (docs/decisions/0017-a-wheel-has-its-rooms-inside.md).
"""
