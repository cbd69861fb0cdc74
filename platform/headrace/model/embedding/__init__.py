"""Dynamic embeddings: tables that grow with the ids they meet.

table.py      tables that grow with the ids they meet, and give up those that stay away
admission.py  how often keys occurred, in bounded memory
"""
