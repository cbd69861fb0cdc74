"""MovieLens-100K: the loader, and the same log as impressions to evaluate on.

loader.py       MovieLens-100K
impressions.py  the same in KuaiRand's columns, to evaluate on
"""
