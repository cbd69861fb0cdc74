"""KuaiRand: the loader, and the history before its log.

loader.py   KuaiRand
history.py  what KuaiRand's users watched before
"""
